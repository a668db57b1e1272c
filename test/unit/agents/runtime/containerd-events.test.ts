import { expect, test } from "bun:test";
import { decodeEvent, watchEvents } from "#agents/runtime/containerd-events.ts";
import type { RuntimeEvent } from "#agents/runtime/runtime.ts";
import { type Grpc, GrpcError } from "#base/grpc.ts";
import { silentLog } from "#base/log.ts";
import { Fields, Writer } from "#base/proto.ts";
import { fakeClock } from "#test/support/clock.ts";

const time = (seconds: number) => new Writer().number(1, seconds).done();

function envelope(topic: string, body: Writer): Uint8Array {
  return new Writer()
    .bytes(1, time(100))
    .text(2, "bramble")
    .text(3, topic)
    .any(4, "containerd.events.X", body.done())
    .done();
}

test("the end of a container, and of a process in it", () => {
  const exit = (id: string) =>
    new Writer().text(1, "c1").text(2, id).number(3, 4711).number(4, 137).bytes(5, time(99));
  expect(decodeEvent(envelope("/tasks/exit", exit("c1")))).toEqual({
    type: "exit",
    containerId: "c1",
    execId: "",
    exitCode: 137,
    atMs: 99_000,
  });
  expect(decodeEvent(envelope("/tasks/exit", exit("exec-1")))?.execId).toBe("exec-1");
});

test("start, out of memory, delete, images; the rest is nobody's business", () => {
  const body = new Writer().text(1, "c1").number(3, 1);
  const type = (topic: string) => decodeEvent(envelope(topic, body))?.type;
  expect(type("/tasks/start")).toBe("start");
  expect(type("/tasks/oom")).toBe("oom");
  expect(type("/tasks/delete")).toBe("delete");
  expect(type("/images/create")).toBe("image");
  expect(type("/snapshot/prepare")).toBeUndefined();
  expect(decodeEvent(envelope("/tasks/oom", body))?.atMs).toBe(100_000);
});

/** A server whose streams the test opens, feeds and breaks. */
function scriptedServer() {
  const streams: Array<{ send: (message: Uint8Array) => void; stop: (error: Error) => void }> = [];
  const server = { streams, published: 0, reachable: true };
  const grpc: Grpc = {
    async unary(_method, message) {
      if (!server.reachable) throw new GrpcError(14, "no containerd");
      server.published++;
      const topic = new Fields(message).text(1);
      streams.at(-1)?.send(envelope(topic, new Writer()));
      return new Uint8Array();
    },
    stream(_method, _message, onMessage, options) {
      if (!server.reachable) return Promise.reject(new GrpcError(14, "no containerd"));
      const { promise, reject } = Promise.withResolvers<void>();
      options?.signal?.addEventListener("abort", () => reject(new GrpcError(1, "cancelled")));
      streams.push({ send: onMessage, stop: reject });
      return promise;
    },
    close() {},
  };
  return { server, grpc };
}

test("connects, tells so, and after a break connects again and tells so again", async () => {
  const clock = fakeClock();
  const { server, grpc } = scriptedServer();
  const stop = new AbortController();
  const events: RuntimeEvent[] = [];
  const options = { grpc, namespace: "bramble", clock, log: silentLog };
  const done = watchEvents(options, (event) => events.push(event), stop.signal);
  const types = () => events.map((each) => each.type);
  await clock.settle();
  expect(types()).toEqual(["reconnected"]);
  server.streams[0]?.send(envelope("/tasks/start", new Writer().text(1, "c1")));
  expect(types()).toEqual(["reconnected", "start"]);

  server.reachable = false;
  server.streams[0]?.stop(new GrpcError(14, "gone"));
  await clock.advance(60_000);
  expect(types()).toEqual(["reconnected", "start"]);
  server.reachable = true;
  await clock.advance(20_000);
  expect(types()).toEqual(["reconnected", "start", "reconnected"]);
  // Knocking ends with the first answer.
  const published = server.published;
  await clock.advance(60_000);
  expect(server.published).toBe(published);

  stop.abort();
  await done;
  expect(clock.timers).toBe(0);
});
