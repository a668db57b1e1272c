/**
 * Opens many connections, says `ready`, and at the first byte of its input sends a request on each
 * at once; prints how many were answered with 200.
 *
 *   bun crowdclient.ts PORT COUNT
 */
import { connect, type Socket } from "node:net";

const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const REQUEST = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

const opened = (): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => resolve(socket));
    socket.on("error", reject);
  });

function answered(socket: Socket): Promise<boolean> {
  let text = "";
  return new Promise((resolve) => {
    socket.on("data", (chunk) => {
      text += chunk.toString("latin1");
    });
    socket.on("close", () => resolve(text.startsWith("HTTP/1.1 200 ")));
    socket.write(REQUEST);
  });
}

const sockets: Socket[] = [];
// Not all at once: the kernel's queue of new connections is short.
while (sockets.length < count) {
  sockets.push(...(await Promise.all(Array.from({ length: 50 }, opened))));
}
console.log("ready");
process.stdin.once("data", async () => {
  const all = await Promise.all(sockets.map(answered));
  console.log(all.filter(Boolean).length);
  process.exit(0);
});
