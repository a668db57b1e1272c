/** A forwarded port, without a pod: the bytes of one connection. */
import { expect, test } from "bun:test";
import { type AddressInfo, createServer } from "node:net";
import { forwardPort } from "#agents/kubelet/portforward.ts";
import { realClock } from "#base/clock.ts";

const BYTES = 8_000_000;
const ROUNDS = 8;

test("an answer comes whole, with its end, also where the client has ended first", async () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("data", () => {});
    socket.on("end", () => socket.end(Buffer.alloc(BYTES, "x")));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  for (let round = 0; round < ROUNDS; round++) {
    const options = { netnsPath: undefined, port, secure: false, clock: realClock };
    const channel = await forwardPort(options);
    await channel.send(Buffer.from("hello"));
    channel.end();
    const late = setTimeout(() => channel.abort("no end"), 30_000);
    let bytes = 0;
    for await (const message of channel.messages) bytes += message.length;
    clearTimeout(late);
    expect(bytes).toBe(BYTES);
  }
  server.close();
}, 270_000);
