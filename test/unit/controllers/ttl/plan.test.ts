import { expect, test } from "bun:test";
import { plan } from "#controllers/ttl/plan.ts";
import { jobs } from "#resources/kinds/job.ts";
import type { Job } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

const world = new World();
function job(spec: Partial<Job["spec"]>, ended = true) {
  const conditions = [{ type: "Complete", status: "True", lastTransitionTime: world.time() }];
  return world.put(jobs, {
    metadata: { namespace: "x", name: "j" },
    spec: { template: {}, ...spec },
    ...(ended && { status: { conditions } }),
  });
}

test("a Job goes when its time is over, with its pods first", () => {
  const short = job({ ttlSecondsAfterFinished: 10 });
  expect(plan(short, world.now + 4000)).toEqual({ actions: [], againMs: 6000 });
  expect(plan(short, world.now + 10_000).actions).toMatchObject([
    { do: "delete", options: { propagationPolicy: "Foreground", uid: short.metadata.uid } },
  ]);
});

test("a Job without a time, or not ended, stays", () => {
  expect(plan(job({}), world.now + 1e9).actions).toEqual([]);
  expect(plan(job({ ttlSecondsAfterFinished: 0 }, false), world.now + 1e9).actions).toEqual([]);
});
