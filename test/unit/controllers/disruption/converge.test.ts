import { expect } from "bun:test";
import fc from "fast-check";
import { isReady } from "#controllers/common/pods.ts";
import { disruptionController } from "#controllers/disruption/controller.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { anyPod, putPod } from "#test/support/anypod.ts";
import { replicaSet } from "#test/support/build.ts";
import { converges } from "#test/support/converge.ts";
import type { World } from "#test/support/world.ts";

const KEY = "x/b";
const budgetOf = (world: World) => world.get(podDisruptionBudgets, KEY);

const healthy = (world: World) =>
  world.list(pods).filter((pod) => isReady(pod) && !pod.metadata.deletionTimestamp);

converges("whatever it allows, what it guards is still there afterwards", {
  any: fc.record({
    pods: fc.array(anyPod, { maxLength: 8 }),
    replicas: fc.integer({ min: 0, max: 8 }),
    minAvailable: fc.integer({ min: 0, max: 6 }),
    allowed: fc.integer({ min: 0, max: 9 }),
    /** Evicted so many seconds ago, and still there. */
    evicted: fc.array(fc.integer({ min: 0, max: 200 }), { maxLength: 3 }),
  }),
  build(world, value) {
    const set = replicaSet(value.replicas);
    world.put(replicaSets, { ...set, metadata: { namespace: "x", name: "web", uid: "uid-web" } });
    for (const [i, one] of value.pods.entries()) putPod(world, `p${i}`, one);
    const seconds = (ago: number) => new Date(world.now - ago * 1000).toISOString();
    const entries = value.evicted.map((ago, i) => [`p${i}`, seconds(ago)]);
    const counts = { currentHealthy: 9, desiredHealthy: 0, expectedPods: 9 };
    const { minAvailable, allowed: disruptionsAllowed } = value;
    world.put(podDisruptionBudgets, {
      metadata: { namespace: "x", name: "b" },
      spec: { minAvailable, selector: { matchLabels: { app: "web" } } },
      status: { ...counts, disruptionsAllowed, disruptedPods: Object.fromEntries(entries) },
    });
    return [disruptionController];
  },
  rest(world, { minAvailable }) {
    const { status, metadata } = budgetOf(world) ?? {};
    const allowed = status?.disruptionsAllowed ?? Number.NaN;
    expect(status?.observedGeneration).toBe(metadata?.generation ?? 0);
    expect(status?.disruptedPods ?? {}).toEqual({});
    const there = healthy(world).length;
    expect(allowed).toBe(status?.expectedPods ? Math.max(0, there - minAvailable) : 0);
    // All that it allows is evicted at once: never fewer than minAvailable, where there were.
    expect(there - allowed).toBeGreaterThanOrEqual(Math.min(there, minAvailable));
  },
  roundsMax: 4,
  horizonMs: 300_000,
});

converges("a share of a scale is rounded in favour of what is guarded", {
  any: fc.record({
    pods: fc.array(anyPod, { maxLength: 8 }),
    replicas: fc.integer({ min: 0, max: 8 }),
    percent: fc.integer({ min: 0, max: 100 }),
    max: fc.boolean(),
  }),
  build(world, { pods: all, replicas, percent, max }) {
    const set = replicaSet(replicas);
    world.put(replicaSets, { ...set, metadata: { namespace: "x", name: "web", uid: "uid-web" } });
    for (const [i, one] of all.entries()) putPod(world, `p${i}`, { ...one, owned: true });
    const share = `${percent}%`;
    world.put(podDisruptionBudgets, {
      metadata: { namespace: "x", name: "b" },
      spec: {
        ...(max ? { maxUnavailable: share } : { minAvailable: share }),
        selector: { matchLabels: { app: "web" } },
      },
    });
    return [disruptionController];
  },
  rest(world, { pods: all, replicas, percent, max }) {
    const status = budgetOf(world)?.status;
    const expected = all.length === 0 ? 0 : replicas;
    const part = Math.ceil((expected * percent) / 100);
    const least = max ? Math.max(0, expected - part) : part;
    expect(status?.desiredHealthy).toBe(least);
    const there = healthy(world).length;
    expect(there - (status?.disruptionsAllowed ?? 0)).toBeGreaterThanOrEqual(
      Math.min(there, least),
    );
  },
  roundsMax: 2,
});
