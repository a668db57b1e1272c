/** A forwarded port, without a pod: the bytes of one connection. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { forwardPort } from "#agents/kubelet/portforward.ts";
import { realClock } from "#base/clock.ts";
import { eventually } from "#test/support/runtime.ts";

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
    const to = { nodeAddress: "127.0.0.1" };
    const options = { to, port, secure: false, clock: realClock };
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

/** Connections to a port of this machine, by the side that opened them (state 1: established). */
function connectionsTo(port: number): number {
  const to = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const rows = readFileSync("/proc/net/tcp", "utf8").split("\n");
  return rows.map((row) => row.trim().split(/ +/)).filter((row) => row[2] === to && row[3] === "01")
    .length;
}

test("a client that leaves is heard though the port takes nothing", async () => {
  const server = createServer((socket) => socket.pause().on("error", () => undefined));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const { port } = server.address() as AddressInfo;
  const to = { nodeAddress: "127.0.0.1" };
  const options = { to, port, secure: false, clock: realClock };
  const channel = await forwardPort(options);
  let sentAtMs = performance.now();
  const pouring = (async () => {
    for (;;) {
      await channel.send(new Uint8Array(32 * 1024));
      sentAtMs = performance.now();
    }
  })().catch(() => "stopped");
  await eventually("a full port", () => performance.now() - sentAtMs > 500 || undefined);
  expect(connectionsTo(port)).toBe(1);
  channel.abort("client gone");
  expect(await pouring).toBe("stopped");
  await eventually("its end", () => connectionsTo(port) === 0 || undefined);
  server.close();
}, 180_000);
