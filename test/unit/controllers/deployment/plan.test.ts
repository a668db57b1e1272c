import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Controller } from "#client/controller.ts";
import { deploymentController } from "#controllers/deployment/controller.ts";
import { boundsOf } from "#controllers/deployment/rollout.ts";
import { replicaSetController } from "#controllers/replicaset/controller.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { keyOf } from "#resources/meta.ts";
import type { Deployment } from "#resources/types.gen.ts";
import { deployment, runPod, template } from "#test/support/build.ts";
import { tries } from "#test/support/property.ts";
import { Refused, World } from "#test/support/world.ts";

const both = [deploymentController, replicaSetController];
const KEY = "x/web";
const REVISION = "deployment.kubernetes.io/revision";

function setup(spec: Partial<Deployment["spec"]> = {}): World {
  const world = new World();
  world.put(deployments, deployment(spec));
  return world;
}

/** Lets all pods that run become ready; answers whether there were any. */
function allReady(world: World): boolean {
  const waiting = world.list(pods).filter((pod) => pod.status?.phase === undefined);
  for (const pod of waiting) runPod(world, keyOf(pod));
  return waiting.length > 0;
}

function finish(world: World): void {
  for (let i = 0; i < 100; i++) {
    world.settle(both);
    if (!allReady(world)) return;
  }
  throw new Error("the rollout does not end");
}

const get = (world: World) => world.get(deployments, KEY);
const setImage = (world: World, image: string) =>
  world.change(deployments, KEY, { spec: { template: template(image) } });
const sizes = (world: World) =>
  Object.fromEntries(
    world
      .list(replicaSets)
      .map((set) => [set.spec?.template?.spec?.containers[0]?.image, set.spec?.replicas]),
  );
const condition = (world: World, type: string) =>
  get(world)?.status?.conditions?.find((one) => one.type === type);

describe("a first rollout", () => {
  test("makes one set, named and labelled by the template's hash", () => {
    const world = setup();
    world.settle(both);
    const [set] = world.list(replicaSets);
    const hash = set?.metadata.labels?.["pod-template-hash"] ?? "";
    expect(set?.metadata.name).toBe(`web-${hash}`);
    expect(set?.spec?.selector.matchLabels).toEqual({ app: "web", "pod-template-hash": hash });
    expect(set?.spec?.template?.metadata?.labels).toEqual({
      app: "web",
      "pod-template-hash": hash,
    });
    expect(set?.metadata.annotations).toMatchObject({
      [REVISION]: "1",
      "deployment.kubernetes.io/desired-replicas": "3",
      "deployment.kubernetes.io/max-replicas": "4",
    });
    expect(get(world)?.metadata.annotations?.[REVISION]).toBe("1");
    expect(world.list(pods)).toHaveLength(3);
  });

  test("tells its progress, then that it is complete", () => {
    const world = setup();
    world.run(deploymentController, KEY);
    expect(condition(world, "Progressing")).toMatchObject({
      reason: "NewReplicaSetCreated",
      status: "True",
    });
    expect(condition(world, "Available")).toMatchObject({ status: "False" });
    world.settle(both);
    expect(condition(world, "Progressing")).toMatchObject({ reason: "ReplicaSetUpdated" });
    expect(get(world)?.status).toMatchObject({
      replicas: 3,
      updatedReplicas: 3,
      unavailableReplicas: 3,
    });
    finish(world);
    expect(condition(world, "Progressing")).toMatchObject({ reason: "NewReplicaSetAvailable" });
    expect(condition(world, "Available")).toMatchObject({ status: "True" });
    expect(get(world)?.status).toMatchObject({
      observedGeneration: 1,
      replicas: 3,
      updatedReplicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
    });
    expect(world.events.some((text) => text.includes("from 0 to 3"))).toBe(true);
  });
});

describe("an update", () => {
  test("goes step by step within surge and unavailable", () => {
    const world = setup({
      replicas: 10,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
    });
    finish(world);
    setImage(world, "web:2");
    world.settle(both);
    expect(sizes(world)).toEqual({ "web:1": 8, "web:2": 5 });
    allReady(world);
    world.settle(both);
    expect(sizes(world)).toEqual({ "web:1": 3, "web:2": 10 });
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 0, "web:2": 10 });
    expect(get(world)?.metadata.annotations?.[REVISION]).toBe("2");
  });

  test("removes old pods that are not available first", () => {
    const world = setup({
      replicas: 4,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 0, maxUnavailable: 1 } },
    });
    finish(world);
    setImage(world, "web:broken");
    world.settle(both);
    // The broken pod never becomes ready.
    for (const pod of world.list(pods)) {
      if (pod.status?.phase === undefined) runPod(world, keyOf(pod), { ready: false });
    }
    world.settle(both);
    expect(sizes(world)).toEqual({ "web:1": 3, "web:broken": 1 });
    setImage(world, "web:3");
    world.settle(both);
    expect(sizes(world)).toEqual({ "web:1": 3, "web:broken": 0, "web:3": 1 });
  });

  test("a size that was decided on other counts and comes late is refused", () => {
    const world = setup({ replicas: 4 });
    finish(world);
    setImage(world, "web:2");
    const around = { caches: world.caches, now: world.now, random: () => 0.5 };
    const state = deploymentController.read(KEY, around);
    const late = state && deploymentController.plan(state, world.now).actions;
    const resize = late?.find((one) => one.do === "patch" && one.kind === replicaSets);
    if (resize === undefined) throw new Error("nothing is resized");
    world.change(replicaSets, keyOf(world.list(replicaSets)[0] ?? { metadata: { name: "" } }), {
      status: { availableReplicas: 3 },
    });
    expect(() => world.apply(resize)).toThrow("Conflict");
  });

  test("back to an old template takes the old set again and keeps its history", () => {
    const world = setup();
    finish(world);
    setImage(world, "web:2");
    finish(world);
    setImage(world, "web:1");
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 3, "web:2": 0 });
    const old = world.list(replicaSets).find((set) => set.spec?.replicas === 3);
    expect(old?.metadata.annotations).toMatchObject({
      [REVISION]: "3",
      "deployment.kubernetes.io/revision-history": "1",
    });
    expect(get(world)?.metadata.annotations?.[REVISION]).toBe("3");
  });

  test("keeps as many old sets as the history limit says", () => {
    const world = setup({ revisionHistoryLimit: 2 });
    for (const n of [1, 2, 3, 4, 5]) {
      setImage(world, `web:${n}`);
      finish(world);
    }
    expect(Object.keys(sizes(world)).sort()).toEqual(["web:3", "web:4", "web:5"]);
  });

  test("Recreate waits for the end of the last old pod", () => {
    const world = setup({ strategy: { type: "Recreate" } });
    finish(world);
    world.gracefulPods = true;
    setImage(world, "web:2");
    world.settle(both);
    expect(sizes(world)).toEqual({ "web:1": 0 });
    for (const pod of world.list(pods)) world.remove(pods, keyOf(pod));
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 0, "web:2": 3 });
  });

  test("minReadySeconds holds the rollout back", () => {
    const world = setup({ minReadySeconds: 30, replicas: 1 });
    finish(world);
    world.now += 30_000;
    world.settle(both);
    setImage(world, "web:2");
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 1, "web:2": 1 });
    world.now += 30_000;
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 0, "web:2": 1 });
  });
});

describe("a stuck rollout", () => {
  test("is told after the deadline, and asks to be looked at then", () => {
    const world = setup({ progressDeadlineSeconds: 60 });
    world.settle(both);
    const state = deploymentController.read(KEY, {
      caches: world.caches,
      now: world.now,
      random: () => 0,
    });
    expect(state && deploymentController.plan(state, world.now).againMs).toBe(61_000);
    world.now += 61_000;
    world.settle(both);
    expect(condition(world, "Progressing")).toMatchObject({
      status: "False",
      reason: "ProgressDeadlineExceeded",
    });
    const { writes } = world;
    world.now += 61_000;
    world.settle(both);
    expect(world.writes).toBe(writes);
  });

  test("a refused set is told", () => {
    const world = setup();
    world.gate = (action) => {
      if (action.do === "create") throw new Refused(action, 403, "Forbidden", "no");
    };
    world.run(deploymentController, KEY);
    expect(condition(world, "Progressing")).toMatchObject({
      reason: "ReplicaSetCreateError",
      status: "False",
    });
    expect(world.events[0]).toContain(
      "Warning ReplicaSetCreateError: Failed to create new replica set",
    );
  });

  test("a name taken by another set is left for the next one", () => {
    const world = setup();
    world.settle([deploymentController]);
    const [mine] = world.list(replicaSets);
    const name = mine?.metadata.name ?? "";
    const other = setup();
    other.put(replicaSets, {
      metadata: { namespace: "x", name, labels: { app: "other" } },
      spec: {
        replicas: 1,
        selector: { matchLabels: { app: "other" } },
        template: template("other", { app: "other" }),
      },
    });
    other.run(deploymentController, KEY);
    expect(get(other)?.status?.collisionCount).toBe(1);
    other.settle([deploymentController]);
    const made = other.list(replicaSets).find((set) => set.metadata.name !== name);
    expect(made?.spec?.replicas).toBe(3);
  });
});

describe("scaling", () => {
  test("of a complete deployment changes its one set", () => {
    const world = setup();
    finish(world);
    world.change(deployments, KEY, { spec: { replicas: 7 } });
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 7 });
    world.change(deployments, KEY, { spec: { replicas: 0 } });
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 0 });
    expect(get(world)?.status?.replicas).toBeUndefined();
  });

  test("in the middle of a rollout shares in proportion", () => {
    const world = setup({
      replicas: 10,
      strategy: { type: "RollingUpdate", rollingUpdate: { maxSurge: 3, maxUnavailable: 2 } },
    });
    finish(world);
    setImage(world, "web:2");
    world.settle(both);
    expect(sizes(world)).toEqual({ "web:1": 8, "web:2": 5 });
    // The documented example: 10 -> 15 gives the old set 3 more and the new one 2.
    world.change(deployments, KEY, { spec: { replicas: 15 } });
    world.run(deploymentController, KEY);
    expect(sizes(world)).toEqual({ "web:1": 11, "web:2": 7 });
  });
});

describe("pausing", () => {
  test("stops the rollout but not scaling; resuming goes on", () => {
    const world = setup();
    finish(world);
    world.change(deployments, KEY, { spec: { paused: true } });
    setImage(world, "web:2");
    world.settle(both);
    expect(sizes(world)).toEqual({ "web:1": 3 });
    expect(condition(world, "Progressing")).toMatchObject({
      reason: "DeploymentPaused",
      status: "Unknown",
    });
    world.change(deployments, KEY, { spec: { replicas: 5 } });
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 5 });
    world.change(deployments, KEY, { spec: { paused: false } });
    finish(world);
    expect(sizes(world)).toEqual({ "web:1": 0, "web:2": 5 });
  });
});

test("surge rounds up, unavailable down, and both never to nothing", () => {
  const bounds = (replicas: number, maxSurge: string | number, maxUnavailable: string | number) => {
    const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } };
    const { maxSurge: up, maxUnavailable: down } = boundsOf(deployment({ replicas, strategy }));
    return [up, down];
  };
  expect(bounds(10, "25%", "25%")).toEqual([3, 2]);
  expect(bounds(2, "0%", "1%")).toEqual([0, 1]);
  expect(bounds(1, "25%", "25%")).toEqual([1, 0]);
  expect(bounds(4, 0, "10%")).toEqual([0, 1]);
  expect(bounds(3, 1, 10)).toEqual([1, 3]);
});

test("property: a rolling update keeps its bounds at every moment, and ends", () => {
  const share = fc.oneof(
    fc.integer({ min: 0, max: 5 }),
    fc.constantFrom("0%", "25%", "50%", "100%"),
  );
  const scenario = fc.record({
    replicas: fc.integer({ min: 1, max: 8 }),
    maxSurge: share,
    maxUnavailable: share,
    chance: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
    updates: fc.integer({ min: 1, max: 3 }),
    graceful: fc.boolean(),
  });
  fc.assert(
    fc.property(scenario, ({ replicas, maxSurge, maxUnavailable, chance, updates, graceful }) => {
      const strategy = { type: "RollingUpdate", rollingUpdate: { maxSurge, maxUnavailable } };
      const world = setup({ replicas, strategy });
      finish(world);
      world.gracefulPods = graceful;
      const bounds = boundsOf(deployment({ replicas, strategy }));
      const next = () => chance.next().value ?? 0.5;
      let image = 1;
      for (let step = 0; step < 400; step++) {
        if (step % 10 === 0 && image <= updates) setImage(world, `web:${++image}`);
        const controller: Controller<unknown> =
          next() < 0.5 ? deploymentController : replicaSetController;
        const keys = [...world.items(controller.kind).keys()];
        for (const key of keys) if (next() < 0.7) world.run(controller, key, next());
        for (const pod of world.list(pods)) {
          if (pod.status?.phase === undefined && next() < 0.3) runPod(world, keyOf(pod));
          if (pod.metadata.deletionTimestamp && next() < 0.4) world.remove(pods, keyOf(pod));
        }
        const alive = world.list(pods).filter((pod) => !pod.metadata.deletionTimestamp);
        const available = alive.filter((pod) => pod.status?.conditions?.[0]?.status === "True");
        expect(available.length).toBeGreaterThanOrEqual(bounds.desired - bounds.maxUnavailable);
        // Of what the sets are told: their pods follow at their own pace, as upstream.
        const told = world
          .list(replicaSets)
          .reduce((all, set) => all + (set.spec?.replicas ?? 0), 0);
        expect(told).toBeLessThanOrEqual(bounds.desired + bounds.maxSurge);
      }
      world.gracefulPods = false;
      for (const pod of world.list(pods)) {
        if (pod.metadata.deletionTimestamp) world.remove(pods, keyOf(pod));
      }
      finish(world);
      expect(sizes(world)[`web:${image}`]).toBe(replicas);
      expect(world.list(pods)).toHaveLength(replicas);
    }),
    tries(60),
  );
}, 240_000);
