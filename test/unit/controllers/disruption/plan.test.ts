import { beforeEach, describe, expect, test } from "bun:test";
import { disruptionController as controller } from "#controllers/disruption/controller.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import type { PodDisruptionBudgetSpec } from "#resources/types.gen.ts";
import { deployment, podStatus, replicaSet, template } from "#test/support/build.ts";
import { World } from "#test/support/world.ts";

const KEY = "x/b";
let world: World;
beforeEach(() => {
  world = new World();
});

function budget(spec: PodDisruptionBudgetSpec): void {
  world.put(podDisruptionBudgets, {
    metadata: { namespace: "x", name: "b" },
    spec: { selector: { matchLabels: { app: "web" } }, ...spec },
  });
}

/** A Deployment of so many, of which these pods are there. */
function workload(replicas: number, ready: readonly boolean[], owned = true): void {
  const { metadata } = world.put(deployments, deployment({ replicas }));
  const ref = { apiVersion: "apps/v1", kind: "Deployment", name: "web", uid: metadata.uid };
  const set = replicaSet(replicas);
  const made = world.put(replicaSets, {
    ...set,
    metadata: { ...set.metadata, ownerReferences: [{ ...ref, controller: true }] },
  });
  const owner = { ...ref, kind: "ReplicaSet", name: "web-1", uid: made.metadata.uid };
  for (const [i, is] of ready.entries()) {
    world.put(pods, {
      ...template(),
      metadata: {
        namespace: "x",
        name: `p${i}`,
        labels: { app: "web" },
        ...(owned && { ownerReferences: [{ ...owner, controller: true }] }),
      },
      status: podStatus(world, { ready: is }) ?? {},
    });
  }
}

const settle = () => world.settle([controller]);
const status = () => world.get(podDisruptionBudgets, KEY)?.status;
const condition = () => status()?.conditions?.[0];

describe("a budget allows", () => {
  const T = true;
  const F = false;
  const cases: Array<[string, PodDisruptionBudgetSpec, number, boolean[], number[]]> = [
    ["what is above minAvailable", { minAvailable: 2 }, 3, [T, T, T], [3, 2, 3, 1]],
    ["nothing while a pod is not ready", { minAvailable: 2 }, 3, [T, T, F], [3, 2, 2, 0]],
    [
      "by a share of the scale, rounded up",
      { minAvailable: "50%" },
      5,
      [T, T, T, T, T],
      [5, 3, 5, 2],
    ],
    ["as many as may be unavailable", { maxUnavailable: 1 }, 3, [T, T, T], [3, 2, 3, 1]],
    ["none when so many are missing already", { maxUnavailable: 1 }, 3, [T, T], [3, 2, 2, 0]],
    [
      "a share of unavailable, rounded up",
      { maxUnavailable: "30%" },
      4,
      [T, T, T, T],
      [4, 2, 4, 2],
    ],
    ["nothing of nothing", { minAvailable: 0 }, 0, [], [0, 0, 0, 0]],
  ];
  for (const [title, spec, replicas, ready, [expected, desired, healthy, allowed]] of cases) {
    test(title, () => {
      budget(spec);
      workload(replicas, ready);
      settle();
      expect(status()).toMatchObject({
        expectedPods: expected,
        desiredHealthy: desired,
        currentHealthy: healthy,
        disruptionsAllowed: allowed,
        observedGeneration: 1,
      });
      const is = (allowed ?? 0) > 0;
      expect(condition()).toMatchObject({
        type: "DisruptionAllowed",
        status: is ? "True" : "False",
        reason: is ? "SufficientPods" : "InsufficientPods",
      });
    });
  }
});

test("an evicted pod does not count until it is gone, or its eviction is forgotten", () => {
  budget({ minAvailable: 1 });
  workload(3, [true, true, true]);
  settle();
  const disruptedPods = { p0: world.time(), vanished: world.time() };
  world.change(podDisruptionBudgets, KEY, { status: { disruptedPods, disruptionsAllowed: 1 } });
  settle();
  expect(status()?.disruptedPods).toEqual({ p0: world.time() });
  expect(status()).toMatchObject({ currentHealthy: 2, disruptionsAllowed: 1 });
  const state = controller.read(KEY, { caches: world.caches, now: world.now, random: () => 0 });
  expect(state && controller.plan(state, world.now).againMs).toBe(120_000);
  world.now += 120_000;
  settle();
  expect(status()).toMatchObject({ currentHealthy: 3, disruptionsAllowed: 2 });
});

test("pods without a scale allow nothing where one is needed, and it is said why", () => {
  budget({ maxUnavailable: 1 });
  workload(2, [true, true], false);
  settle();
  expect(status()?.disruptionsAllowed).toBe(0);
  expect(condition()).toMatchObject({ reason: "SyncFailed" });
  expect(condition()?.message).toContain("found no controller ref for pod");
  expect(world.events).toHaveLength(1);
});

test("an unchanged state writes nothing", () => {
  budget({ minAvailable: 1 });
  workload(2, [true, true]);
  settle();
  const { writes } = world;
  world.now += 60_000;
  settle();
  expect(world.writes).toBe(writes);
});
