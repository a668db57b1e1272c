import { expect } from "bun:test";
import fc from "fast-check";
import { ttlController } from "#controllers/ttl/controller.ts";
import { jobs } from "#resources/kinds/job.ts";
import { template } from "#test/support/build.ts";
import { converges } from "#test/support/converge.ts";

const START = Date.UTC(2026, 0, 1);
const HORIZON_MS = 3_600_000;
const anyJob = fc.record({
  type: fc.constantFrom("Complete", "Failed", "Suspended", undefined),
  is: fc.boolean(),
  endedAgo: fc.integer({ min: 0, max: 1000 }),
  ttl: fc.constantFrom(undefined, 0, 60, 2000, 1_000_000),
});
type AnyJob = typeof anyJob extends fc.Arbitrary<infer T> ? T : never;

/** When it is to go, milliseconds since the epoch; undefined: never. */
function dueOf({ type, is, endedAgo, ttl }: AnyJob): number | undefined {
  const ended = is && (type === "Complete" || type === "Failed");
  return ended && ttl !== undefined ? START - endedAgo * 1000 + ttl * 1000 : undefined;
}

converges("a Job goes when its time to live after its end is over, not before", {
  any: fc.array(anyJob, { maxLength: 6 }),
  build(world, all) {
    for (const [i, { type, is, endedAgo, ttl }] of all.entries()) {
      const lastTransitionTime = new Date(START - endedAgo * 1000).toISOString();
      const condition = { type: type ?? "", status: is ? "True" : "False", lastTransitionTime };
      world.put(jobs, {
        metadata: { namespace: "x", name: `j${i}` },
        spec: { template: template(), ...(ttl !== undefined && { ttlSecondsAfterFinished: ttl }) },
        status: type === undefined ? {} : { conditions: [condition] },
      });
    }
    return [ttlController];
  },
  always(world, all, action) {
    if (action.do !== "delete") return;
    const job = all[Number(action.ref.name.slice(1))];
    const due = job && dueOf(job);
    expect(due).toBeDefined();
    expect(due ?? 0).toBeLessThanOrEqual(world.now);
  },
  rest(world, all) {
    for (const [i, job] of all.entries()) {
      const due = dueOf(job);
      const left = world.get(jobs, `x/j${i}`);
      // It goes in the foreground: the garbage controller ends it once its pods are gone.
      const leaves = left === undefined || left.metadata.deletionTimestamp !== undefined;
      expect([i, leaves]).toEqual([i, due !== undefined && due <= START + HORIZON_MS]);
    }
  },
  roundsMax: 6,
  horizonMs: HORIZON_MS,
});
