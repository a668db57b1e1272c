import { beforeEach, describe, expect, test } from "bun:test";
import { podGcController } from "#controllers/podgc/controller.ts";
import { plan, type State } from "#controllers/podgc/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Pod } from "#resources/types.gen.ts";
import { fakeClock } from "#test/support/clock.ts";
import { World } from "#test/support/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});

function pod(more: Partial<Pod["metadata"]> = {}, spec: Partial<Pod["spec"]> = {}) {
  return world.put(pods, {
    metadata: { namespace: "x", name: "a", ...more },
    spec: { containers: [], nodeName: "n1", ...spec },
    status: { phase: "Running" },
  });
}

function node(ready: string, taints: string[] = []) {
  return world.put(nodes, {
    metadata: { name: "n1" },
    spec: { taints: taints.map((key) => ({ key, effect: "NoExecute" })) },
    status: { conditions: [{ type: "Ready", status: ready }] },
  });
}

const owner = (kind: string) => [
  { apiVersion: "apps/v1", kind, name: "o", uid: "o", controller: true },
];

const state = (more: Partial<State>): State => ({
  pod: pod(),
  node: node("True"),
  missedMs: undefined,
  surplus: false,
  ...more,
});

const does = (more: Partial<State>, later = 0) => {
  const { actions, againMs } = plan(state(more), world.now + later);
  return { did: actions.map((action) => action.do), againMs, actions };
};

describe("a pod", () => {
  test("whose node is there stays", () => {
    expect(does({}).did).toEqual([]);
  });

  test("whose node is gone fails and goes, after a while", () => {
    expect(does({ node: undefined, missedMs: 4000 })).toMatchObject({ did: [], againMs: 36_000 });
    const { did, actions } = does({ node: undefined, missedMs: 40_000 });
    expect(did).toEqual(["patch", "delete"]);
    expect(actions[0]).toMatchObject({ body: { status: { phase: "Failed" } } });
    expect(actions[1]).toMatchObject({ options: { gracePeriodSeconds: 0 } });
  });

  test("that was deleted before it was placed goes", () => {
    const going = { deletionTimestamp: world.time() };
    expect(does({ pod: pod(going, { nodeName: "" }), node: undefined }).did).toEqual(["delete"]);
    expect(does({ pod: pod({}, { nodeName: "" }), node: undefined }).did).toEqual([]);
  });

  test("deleted on a node out of service goes, whoever owns it", () => {
    const out = node("Unknown", ["node.kubernetes.io/out-of-service"]);
    const going = { deletionTimestamp: world.time(), ownerReferences: owner("StatefulSet") };
    expect(does({ pod: pod(going), node: out }).did).toEqual(["patch", "delete"]);
    expect(does({ pod: pod({ ownerReferences: owner("StatefulSet") }), node: out }).did).toEqual(
      [],
    );
  });

  test("deleted on a lost node goes once its grace is over, a StatefulSet's never", () => {
    const lost = node("Unknown");
    const deletionTimestamp = new Date(world.now + 30_000).toISOString();
    const of = (kind: string) => pod({ deletionTimestamp, ownerReferences: owner(kind) });
    expect(does({ pod: of("ReplicaSet"), node: lost })).toMatchObject({ did: [], againMs: 30_000 });
    expect(does({ pod: of("ReplicaSet"), node: lost }, 30_000).did).toEqual(["delete"]);
    expect(does({ pod: of("StatefulSet"), node: lost }, 30_000).did).toEqual([]);
    expect(does({ pod: pod({ deletionTimestamp }), node: lost }, 30_000).did).toEqual([]);
  });
});

test("ended pods past the threshold go, the oldest first", () => {
  const controller = podGcController(fakeClock(), 3);
  for (const name of ["a", "b", "c", "d", "e"]) {
    const after = world.put(pods, {
      metadata: { namespace: "x", name },
      spec: { containers: [], nodeName: "n1" },
      status: { phase: "Succeeded" },
    });
    node("True");
    const change = { key: `x/${name}`, before: undefined, after };
    expect(controller.changed?.(change)).toBe(true);
    for (const key of controller.keys?.(after, world.caches) ?? []) world.run(controller, key);
    const removed = world.get(pods, "x/a") === undefined;
    expect(removed).toBe(name >= "d");
    if (removed)
      controller.changed?.({ ...change, key: "x/a", before: undefined, after: undefined });
  }
});

test("pods that run on a node or wait for one are not looked at", () => {
  const controller = podGcController(fakeClock());
  const keys = (one: ReturnType<typeof pod>) => controller.keys?.(one, world.caches);
  const going = { deletionTimestamp: world.time() };
  expect(keys(pod())).toEqual(["/n1"]);
  expect(keys({ ...pod(), status: { phase: "Failed" } })).toEqual(["/n1", "x/a"]);
  node("True");
  expect(keys(pod())).toEqual([]);
  expect(keys(pod({}, { nodeName: "" }))).toEqual([]);
  expect(keys(pod(going))).toEqual(["x/a"]);
  expect(keys({ ...pod(), status: { phase: "Failed" } })).toEqual(["x/a"]);
  world.remove(nodes, "n1");
  const [trigger] = controller.triggers;
  const gone = world.put(nodes, { metadata: { name: "n1" } });
  expect(trigger?.keys(gone, world.caches)).toEqual(["/n1", "x/a"]);
  world.remove(nodes, "n1");
  expect(trigger?.keys(gone, world.caches)).toEqual(["/n1"]);
});

test("all pods of a node that is not there wait as one, each for its own time", async () => {
  const clock = fakeClock();
  const controller = podGcController(clock);
  const pass = async (ms: number) => {
    await clock.advance(ms);
    world.now += ms;
  };
  const look = () => {
    const states = controller.read("/n1", {
      caches: world.caches,
      now: world.now,
      random: () => 0,
    });
    return states && controller.plan(states, world.now);
  };
  const old = pod();
  expect(controller.keys?.(old, world.caches)).toEqual(["/n1"]);
  expect(look()).toMatchObject({ actions: [], againMs: 40_000 });
  await pass(10_000);
  const young = pod({ name: "b" });
  expect(controller.keys?.(young, world.caches)).toEqual([]);
  await pass(30_000);
  expect(look()).toMatchObject({ actions: [], wake: ["x/a"], againMs: 10_000 });
  expect(world.run(controller, "x/a")).toBe(2);
  world.remove(pods, "x/a");
  await pass(10_000);
  expect(look()).toMatchObject({ actions: [], wake: ["x/b"], againMs: 40_000 });
  expect(world.run(controller, "x/b")).toBe(2);
  world.remove(pods, "x/b");
  await pass(40_000);
  expect(look()).toBeUndefined();
  expect(controller.keys?.(pod({ name: "c" }), world.caches)).toEqual(["/n1"]);
});
