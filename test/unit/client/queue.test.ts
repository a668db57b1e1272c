import { expect, test } from "bun:test";
import { WorkQueue } from "#client/queue.ts";
import { fakeClock } from "#test/support/clock.ts";

function queueOf(spacingMs: number) {
  const clock = fakeClock();
  const ran: string[] = [];
  const queue = new WorkQueue({
    ...{ clock, spacingMs: () => spacingMs, parallel: 4 },
    run: async (key) => {
      ran.push(`${key} ${clock.monotonic()}`);
    },
  });
  queue.open();
  return { clock, queue, ran };
}

test("runs of one key are spaced, whoever else rests", async () => {
  const { clock, queue, ran } = queueOf(20);
  queue.add("a");
  await clock.advance(5);
  queue.add("b");
  queue.add("a");
  await clock.advance(10);
  queue.add("b");
  await clock.advance(100);
  expect(ran).toEqual(["a 0", "b 5", "a 20", "b 25"]);
  queue.add("a");
  await clock.settle();
  expect(ran.at(-1)).toBe("a 115");
});

test("many keys that rest share one timer, and none is left when they are rested", async () => {
  const { clock, queue, ran } = queueOf(20);
  for (let i = 0; i < 100; i++) queue.add(`${i}`);
  await clock.settle();
  expect(ran.length).toBe(100);
  expect(clock.timers).toBe(1);
  await clock.advance(20);
  expect(clock.timers).toBe(0);
  expect(queue.busy).toBe(0);
});

test("nothing runs after the end", async () => {
  const { clock, queue, ran } = queueOf(20);
  queue.add("a");
  await clock.settle();
  queue.add("a");
  queue.close();
  expect(clock.timers).toBe(0);
  await clock.advance(100);
  expect(ran).toEqual(["a 0"]);
});
