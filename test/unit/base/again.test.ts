import { expect, test } from "bun:test";
import { oneAtATime } from "#base/again.ts";

test("asked for while it runs, it runs once more and never beside itself", async () => {
  const waits: Array<PromiseWithResolvers<void>> = [];
  const ask = oneAtATime(
    () => {
      const wait = Promise.withResolvers<void>();
      waits.push(wait);
      return wait.promise;
    },
    () => {},
  );
  const all = ask();
  await Promise.all([ask(), ask()]);
  expect(waits).toHaveLength(1);
  waits[0]?.resolve();
  await waits[0]?.promise;
  await Promise.resolve();
  expect(waits).toHaveLength(2);
  waits[1]?.resolve();
  await all;
  expect(waits).toHaveLength(2);
});

test("a failure is told, and the next who asks is served", async () => {
  let runs = 0;
  const told: unknown[] = [];
  const ask = oneAtATime(
    async () => {
      if (++runs === 1) throw new Error("no");
    },
    (error) => told.push(error),
  );
  await ask();
  await ask();
  expect(runs).toBe(2);
  expect(told).toEqual([new Error("no")]);
});
