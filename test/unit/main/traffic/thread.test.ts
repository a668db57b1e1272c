import { expect, test } from "bun:test";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import { limits } from "#base/limits.ts";
import { createLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import type { Shown, ShownCaches } from "#client/cache.types.ts";
import type { ApiObject } from "#resources/meta.ts";
import { fakeClock } from "#test/support/clock.ts";
import type { Message } from "../../../../src/main/traffic/calls.ts";
import { type OpenThread, startThread } from "../../../../src/main/traffic/thread.ts";

/** Who looks at the caches. */
let followers = 0;

const NOTHING: Shown<ApiObject> = {
  get: () => undefined,
  list: () => [],
  indexed: () => [],
  onChange: () => {
    followers++;
    return () => void followers--;
  },
  synced: true,
  whenSynced: () => Promise.resolve(),
};
const caches: ShownCaches = {
  of: <T extends ApiObject>() => NOTHING as Shown<ApiObject> as Shown<T>,
};

/** A thread that answers every call at once while it is not hung. */
class FakeThread {
  readonly calls: string[] = [];
  isHung = false;
  isEnded = false;
  readonly #on: Parameters<OpenThread>[0];

  constructor(on: Parameters<OpenThread>[0]) {
    this.#on = on;
  }

  post(message: Message): void {
    if (message.is !== "call" || this.isHung) return;
    this.calls.push(message.name);
    queueMicrotask(() => this.#on.message({ is: "result", id: message.id, value: "42" }));
  }

  ask(name: string, ...args: unknown[]): void {
    this.#on.message({ is: "call", id: 1, name, args });
  }

  end(reason: string): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.#on.ended(reason);
  }

  terminate(): void {
    this.end("terminated");
  }
}

function start() {
  const clock = fakeClock();
  const lines: string[] = [];
  const write = (line: string) => lines.push(line);
  const log = createLog({ level: "error", format: "text", now: () => 0, write });
  const threads: FakeThread[] = [];
  const watched = new Map<string, () => void>();
  const objects: ObjectSource = {
    get: async () => undefined,
    watch(_kind, _namespace, name, changed) {
      watched.set(name, changed);
      return () => watched.delete(name);
    },
  };
  const run = async () => ({ exitCode: 0, stdout: "", stderr: "" });
  const around = { caches, objects, run, writers: {}, mark: async () => {}, clock, log };
  const traffic = startThread(
    { nodeName: "n1", logLevel: "error", ingress: { host: "::", httpPort: 1, tlsPort: 2 } },
    { ...around, random: realRandom },
    (on) => {
      const thread = new FakeThread(on);
      threads.push(thread);
      return thread;
    },
  );
  return { clock, lines, threads, traffic, watched };
}

test("it starts, is fed, and answers", async () => {
  const { clock, threads, traffic } = start();
  await clock.settle();
  expect(threads[0]?.calls).toEqual(["start", "feed"]);
  expect(await traffic.metrics()).toBe("42");
  await traffic.drained("pod");
  traffic.shrink();
  await clock.settle();
  expect(threads[0]?.calls.slice(2)).toEqual(["metrics", "drained", "shrink"]);
});

test("one that ends is followed by another one, later each time, until one lives", async () => {
  const { clock, lines, threads } = start();
  await clock.settle();
  const begun: number[] = [];
  for (const waitMs of [50, 100, 200]) {
    threads.at(-1)?.end("out of memory");
    await clock.advance(waitMs - 1);
    begun.push(threads.length);
    await clock.advance(1);
  }
  expect(begun).toEqual([1, 2, 3]);
  expect(threads).toHaveLength(4);
  expect(lines[0]).toContain('ended: starting another one why="out of memory"');
  expect(threads[3]?.calls.slice(0, 2)).toEqual(["start", "feed"]);
  await clock.advance(limits.threadLookMs);
  threads[3]?.end("once more");
  await clock.advance(50);
  expect(threads).toHaveLength(5);
});

test("one that hangs is ended, and one that only was slow is not", async () => {
  const { clock, threads, traffic } = start();
  await clock.advance(limits.threadLookMs);
  const [first] = threads;
  if (first === undefined) throw new Error("no thread");
  first.isHung = true;
  await clock.advance(limits.threadLookMs);
  first.isHung = false;
  await clock.advance(5 * limits.threadLookMs);
  expect(first.isEnded).toBe(false);
  first.isHung = true;
  await clock.advance((limits.threadMissesMax + 1) * limits.threadLookMs);
  expect(first.isEnded).toBe(true);
  await clock.advance(limits.threadAgainMsMin);
  expect(threads).toHaveLength(2);
  expect(await traffic.metrics()).toBe("42");
});

test("who waits for one that hangs gets on", async () => {
  const { clock, threads, traffic } = start();
  await clock.settle();
  if (threads[0]) threads[0].isHung = true;
  const asked = traffic.metrics();
  await clock.advance(limits.threadAnswerMsMax);
  expect(await asked).toBe("");
  const drained = traffic.drained("pod");
  await clock.settle();
  threads[0]?.end("gone");
  await drained;
});

test("what it watches is told of, and forgotten with it", async () => {
  const { clock, threads, watched } = start();
  await clock.settle();
  threads[0]?.ask("watch", "secret", "a", "pair");
  await clock.settle();
  watched.get("pair")?.();
  expect(threads[0]?.calls.at(-1)).toBe("changed");
  const before = followers;
  threads[0]?.end("gone");
  expect(watched.size).toBe(0);
  expect(followers).toBeLessThan(before);
});

test("after its stop there is no other one, though it hangs", async () => {
  const { clock, threads, traffic } = start();
  await clock.settle();
  if (threads[0]) threads[0].isHung = true;
  const stopped = traffic.stop();
  await clock.advance(limits.threadStopMsMax);
  await stopped;
  expect(threads[0]?.isEnded).toBe(true);
  await clock.advance(60_000);
  expect(threads).toHaveLength(1);
  expect(clock.timers).toBe(0);
});
