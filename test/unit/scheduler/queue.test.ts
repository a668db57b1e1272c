import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { must } from "#base/assert.ts";
import { Heap } from "#base/heap.ts";
import type { Wake } from "#scheduler/filters.ts";
import { SchedulingQueue, UNSCHEDULABLE_MS_MAX } from "#scheduler/queue.ts";

const one = (key: string, priority = 0, signature = key) => ({ key, priority, signature });
const hope = (...wakes: Wake[]) => ({ wokenBy: new Set(wakes), local: true });
const take = (queue: SchedulingQueue, now: number) => must(queue.next(now), "entry");

test("priority first, then order of arrival", () => {
  const queue = new SchedulingQueue();
  queue.add(one("low"), 0);
  queue.add(one("high", 10), 0);
  queue.add(one("low2"), 0);
  const order = [queue.next(0)?.key, queue.next(0)?.key, queue.next(0)?.key, queue.next(0)];
  expect(order).toEqual(["high", "low", "low2", undefined]);
});

test("what did not fit waits for a wake-up, with back-off, or for the limit", () => {
  const queue = new SchedulingQueue();
  queue.add(one("p"), 0);
  queue.setAside(take(queue, 0), hope("node"), 0);
  expect(queue.next(1_000)).toBeUndefined();
  expect(queue.waitMs(0)).toBe(UNSCHEDULABLE_MS_MAX);
  queue.wake("node", 100);
  expect(queue.next(100)).toBeUndefined();
  expect(queue.waitMs(100)).toBe(100);
  expect(queue.next(200)?.key).toBe("p");
});

test("a change that helps for sure waits for no back-off, so that priority decides", () => {
  const queue = new SchedulingQueue();
  queue.add(one("low", 1), 0);
  queue.setAside(take(queue, 0), hope("room"), 0);
  queue.add(one("high", 2), 90);
  queue.setAside(take(queue, 90), hope("room"), 90);
  queue.wake("room", 100, () => "surely");
  expect(queue.next(100)?.key).toBe("high");
});

test("a change wakes those alone that it can help", () => {
  const queue = new SchedulingQueue();
  for (const key of ["a", "b", "c"]) queue.add(one(key), 0);
  queue.setAside(take(queue, 0), hope("node"), 0);
  queue.setAside(take(queue, 0), hope("claim"), 0);
  queue.setAside(take(queue, 0), hope("claim"), 0);
  queue.wake("claim", 500, (key) => (key === "c" ? "maybe" : "no"));
  expect([queue.next(500)?.key, queue.next(500)]).toEqual(["c", undefined]);
  expect(queue.size).toBe(2);
});

test("a changed pod is tried at once though it was set aside", () => {
  const queue = new SchedulingQueue();
  queue.add(one("p"), 0);
  queue.setAside(take(queue, 0), hope(), 0);
  queue.add(one("p"), 5);
  expect(queue.next(5)?.key).toBe("p");
  expect(queue.size).toBe(0);
});

test("what was set aside is looked at again in the end, though nothing woke it", () => {
  const queue = new SchedulingQueue();
  queue.add(one("p"), 0);
  queue.setAside(take(queue, 0), hope(), 0);
  expect(queue.next(UNSCHEDULABLE_MS_MAX - 1)).toBeUndefined();
  expect(queue.next(UNSCHEDULABLE_MS_MAX)?.key).toBe("p");
});

describe("pods that are alike", () => {
  function thousand(): SchedulingQueue {
    const queue = new SchedulingQueue();
    for (let i = 0; i < 1000; i++) queue.add(one(`p${i}`, 0, "set"), 0);
    for (let i = 0; i < 1000; i++) queue.setAside(take(queue, 0), hope("room"), 0);
    return queue;
  }

  test("a change tries the oldest of them alone", () => {
    const queue = thousand();
    let asked = 0;
    queue.wake("room", 10_000, () => {
      asked++;
      return "surely";
    });
    expect(asked).toBe(1);
    expect([queue.next(10_000)?.key, queue.next(10_000)]).toEqual(["p0", undefined]);
  });

  test("each that fits calls the next, at once", () => {
    const queue = thousand();
    queue.wake("room", 10_000);
    for (let i = 0; i < 1000; i++) {
      expect(take(queue, 10_000).key).toBe(`p${i}`);
      queue.placed("set", 10_000);
    }
    expect(queue.size).toBe(0);
  });

  test("one that does not fit calls nobody, and waits longer each time", () => {
    const queue = thousand();
    queue.wake("room", 10_000);
    queue.setAside(take(queue, 10_000), hope("room"), 10_000);
    expect(queue.next(10_000)).toBeUndefined();
    queue.wake("room", 10_000);
    expect(queue.waitMs(10_000)).toBe(400);
    expect(queue.next(10_400)?.key).toBe("p0");
    expect(queue.size).toBe(999);
  });
});

test("property: no pod is lost, and none comes out twice", () => {
  const step = fc.record({
    act: fc.constantFrom("add", "remove", "next", "fail", "fit", "wake", "retry"),
    pod: fc.integer({ min: 0, max: 9 }),
    ms: fc.integer({ min: 0, max: 2_000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new SchedulingQueue();
      const inside = new Set<string>();
      let now = 0;
      for (const { act, pod, ms } of steps) {
        now += ms;
        const key = `p${pod}`;
        if (act === "add") {
          queue.add(one(key, pod % 3, `s${pod % 2}${pod % 3}`), now);
          inside.add(key);
        } else if (act === "remove") {
          queue.remove(key);
          inside.delete(key);
        } else if (act === "wake") {
          queue.wake("node", now);
        } else {
          const entry = queue.next(now);
          if (entry === undefined) continue;
          expect(inside.has(entry.key)).toBe(true);
          if (act === "fail") queue.setAside(entry, hope("node"), now);
          else if (act === "retry") queue.retry(entry, now);
          else {
            inside.delete(entry.key);
            queue.placed(entry.signature, now);
          }
        }
        expect(queue.size).toBe(inside.size);
      }
      const out: string[] = [];
      for (let i = 0; i < 40; i++) {
        now += UNSCHEDULABLE_MS_MAX;
        for (let entry = queue.next(now); entry; entry = queue.next(now)) out.push(entry.key);
      }
      expect(out.sort()).toEqual([...inside].sort());
      expect(queue.waitMs(now)).toBeUndefined();
    }),
  );
});

test("property: the heap gives what was put in, in order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (numbers) => {
      const heap = new Heap<number>((a, b) => a < b);
      for (const number of numbers) heap.push(number);
      const out: number[] = [];
      for (let first = heap.pop(); first !== undefined; first = heap.pop()) out.push(first);
      expect(out).toEqual([...numbers].sort((a, b) => a - b));
    }),
  );
});
