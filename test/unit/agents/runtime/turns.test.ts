import { expect, test } from "bun:test";
import fc from "fast-check";
import { Turns } from "#agents/runtime/turns.ts";

test("one at a time for each key, whatever ends when, and also after failures", async () => {
  const key = fc.constantFrom("a", "b", "c");
  const job = fc.record({ key, turns: fc.integer({ min: 0, max: 5 }), fails: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(job, { maxLength: 30 }), async (jobs) => {
      const turns = new Turns();
      const inside = new Map<string, number>();
      let done = 0;
      const results = jobs.map((each) =>
        turns.with(each.key, async () => {
          expect(inside.get(each.key) ?? 0).toBe(0);
          inside.set(each.key, 1);
          for (let i = 0; i < each.turns; i++) await Promise.resolve();
          inside.set(each.key, 0);
          done++;
          if (each.fails) throw new Error("failed");
        }),
      );
      const settled = await Promise.allSettled(results);
      expect(done).toBe(jobs.length);
      expect(settled.map((each) => each.status === "rejected")).toEqual(
        jobs.map((each) => each.fails),
      );
    }),
  );
});
