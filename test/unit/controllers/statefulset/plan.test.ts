import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { statefulSetController as controller } from "#controllers/statefulset/controller.ts";
import { controllerRevisions } from "#resources/kinds/controllerrevision.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { keyOf } from "#resources/meta.ts";
import type { Pod, StatefulSetSpec } from "#resources/types.gen.ts";
import { podStatus, runPod, template } from "#test/support/build.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const KEY = "x/db";
let world: World;
beforeEach(() => {
  world = new World();
});

function create(spec: Partial<StatefulSetSpec> = {}): void {
  world.put(statefulSets, {
    metadata: { namespace: "x", name: "db" },
    spec: {
      replicas: 3,
      serviceName: "db",
      selector: { matchLabels: { app: "web" } },
      template: template("db:1"),
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 0 } },
      ...spec,
    },
  });
}

const claimTemplate = {
  metadata: { name: "data" },
  spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
};

const settle = () => world.settle([controller]);
const names = () =>
  world
    .list(pods)
    .map((pod) => pod.metadata.name)
    .sort();
const status = () => world.get(statefulSets, KEY)?.status;
const images = () =>
  Object.fromEntries(
    world.list(pods).map((pod) => [pod.metadata.name, pod.spec?.containers[0]?.image]),
  );
const setImage = (image: string) =>
  world.change(statefulSets, KEY, { spec: { template: template(image) } });
const isNew = (pod: Pod) => pod.status?.phase === undefined || pod.status.phase === "Pending";

/** Lets the pods that start become ready, until nothing changes any more. */
function finish(): void {
  for (let i = 0; i < 40; i++) {
    settle();
    const waiting = world.list(pods).filter(isNew);
    if (waiting.length === 0) return;
    for (const pod of waiting) runPod(world, keyOf(pod));
  }
  throw new Error("does not finish");
}

describe("pods", () => {
  test("start one after the other, each when those before are ready", () => {
    create();
    settle();
    expect(names()).toEqual(["db-0"]);
    runPod(world, "x/db-0", { ready: false });
    settle();
    expect(names()).toEqual(["db-0"]);
    runPod(world, "x/db-0");
    settle();
    expect(names()).toEqual(["db-0", "db-1"]);
    finish();
    expect(names()).toEqual(["db-0", "db-1", "db-2"]);
    expect(status()).toMatchObject({
      replicas: 3,
      readyReplicas: 3,
      availableReplicas: 3,
      currentReplicas: 3,
      updatedReplicas: 3,
    });
  });

  test("have an identity: name, labels, host name, claims", () => {
    create({ volumeClaimTemplates: [claimTemplate] });
    settle();
    const pod = world.get(pods, "x/db-0");
    expect(pod?.metadata.labels).toMatchObject({
      app: "web",
      "statefulset.kubernetes.io/pod-name": "db-0",
      "apps.kubernetes.io/pod-index": "0",
      "controller-revision-hash": status()?.updateRevision ?? "",
    });
    expect(pod?.spec).toMatchObject({
      hostname: "db-0",
      subdomain: "db",
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "data-db-0" } }],
    });
    const claim = world.get(persistentVolumeClaims, "x/data-db-0");
    expect(claim?.metadata.labels).toEqual({ app: "web" });
    expect(claim?.metadata.ownerReferences).toBeUndefined();
  });

  test("start side by side where the set allows it, from the ordinal it names", () => {
    create({ podManagementPolicy: "Parallel", ordinals: { start: 5 } });
    settle();
    expect(names()).toEqual(["db-5", "db-6", "db-7"]);
  });

  test("go from the highest down, one at a time, and their claims stay", () => {
    create({ volumeClaimTemplates: [claimTemplate] });
    finish();
    world.gracefulPods = true;
    world.change(statefulSets, KEY, { spec: { replicas: 1 } });
    settle();
    const going = () => world.list(pods).filter((pod) => pod.metadata.deletionTimestamp);
    expect(going().map((pod) => pod.metadata.name)).toEqual(["db-2"]);
    world.remove(pods, "x/db-2");
    settle();
    expect(going().map((pod) => pod.metadata.name)).toEqual(["db-1"]);
    world.remove(pods, "x/db-1");
    settle();
    expect(names()).toEqual(["db-0"]);
    expect(world.list(persistentVolumeClaims)).toHaveLength(3);
  });

  test("are made again only when the old one's object is gone", () => {
    create();
    finish();
    world.gracefulPods = true;
    world.change(pods, "x/db-1", { metadata: { deletionTimestamp: world.time() } });
    const { uid } = world.get(pods, "x/db-1")?.metadata ?? {};
    settle();
    expect(world.get(pods, "x/db-1")?.metadata.uid).toBe(uid ?? "");
    world.remove(pods, "x/db-1");
    settle();
    expect(world.get(pods, "x/db-1")?.metadata.deletionTimestamp).toBeUndefined();
  });

  test("that ended are started anew", () => {
    create({ replicas: 1 });
    finish();
    const { uid } = world.get(pods, "x/db-0")?.metadata ?? {};
    runPod(world, "x/db-0", { phase: "Succeeded", ready: false });
    settle();
    expect(world.get(pods, "x/db-0")?.metadata.uid).not.toBe(uid ?? "");
  });

  test("whose identity labels were taken off get them back", () => {
    create({ replicas: 1 });
    finish();
    const label = "statefulset.kubernetes.io/pod-name";
    world.change(pods, "x/db-0", { metadata: { labels: { [label]: null } } });
    settle();
    expect(world.get(pods, "x/db-0")?.metadata.labels?.[label]).toBe("db-0");
  });
});

describe("an update", () => {
  test("replaces from the highest down, each when the one before is ready", () => {
    create();
    finish();
    const before = status()?.currentRevision;
    setImage("db:2");
    settle();
    expect(images()).toEqual({ "db-0": "db:1", "db-1": "db:1", "db-2": "db:2" });
    expect(status()?.updateRevision).not.toBe(before);
    finish();
    expect(images()).toEqual({ "db-0": "db:2", "db-1": "db:2", "db-2": "db:2" });
    expect(status()?.currentRevision).toBe(status()?.updateRevision);
    expect(world.list(controllerRevisions).map((one) => one.revision)).toEqual([1, 2]);
  });

  test("stops at the partition, and a pod below it keeps the old revision", () => {
    create({ updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: 2 } } });
    finish();
    setImage("db:2");
    finish();
    expect(images()).toEqual({ "db-0": "db:1", "db-1": "db:1", "db-2": "db:2" });
    world.remove(pods, "x/db-0");
    finish();
    expect(images()["db-0"]).toBe("db:1");
    expect(status()).toMatchObject({ currentReplicas: 2, updatedReplicas: 1 });
  });

  test("OnDelete waits for the user", () => {
    create({ updateStrategy: { type: "OnDelete" } });
    finish();
    setImage("db:2");
    finish();
    expect(Object.values(images())).toEqual(["db:1", "db:1", "db:1"]);
    world.remove(pods, "x/db-1");
    finish();
    expect(images()["db-1"]).toBe("db:2");
  });

  test("replaces several at once where maxUnavailable says so", () => {
    const rollingUpdate = { partition: 0, maxUnavailable: 2 };
    create({
      replicas: 4,
      podManagementPolicy: "Parallel",
      updateStrategy: { type: "RollingUpdate", rollingUpdate },
    });
    finish();
    world.gracefulPods = true;
    setImage("db:2");
    settle();
    const going = world.list(pods).filter((pod) => pod.metadata.deletionTimestamp);
    expect(going.map((pod) => pod.metadata.name).sort()).toEqual(["db-2", "db-3"]);
  });

  test("back to an old template brings its revision to the front", () => {
    create({ replicas: 1 });
    finish();
    const first = status()?.currentRevision;
    setImage("db:2");
    finish();
    setImage("db:1");
    finish();
    expect(status()?.currentRevision).toBe(first ?? "");
    expect(
      world
        .list(controllerRevisions)
        .map((one) => one.revision)
        .sort(),
    ).toEqual([2, 3]);
  });

  test("keeps as many revisions as the limit says", () => {
    create({ replicas: 1, revisionHistoryLimit: 2 });
    for (const n of [1, 2, 3, 4, 5, 6]) {
      setImage(`db:${n}`);
      finish();
    }
    settle();
    expect(world.list(controllerRevisions)).toHaveLength(3);
  });
});

describe("claims", () => {
  const owners = (name: string) =>
    world
      .get(persistentVolumeClaims, `x/${name}`)
      ?.metadata.ownerReferences?.map(({ kind }) => kind);

  test("go with the set, or with the pod that is scaled away, as the policy says", () => {
    create({
      volumeClaimTemplates: [claimTemplate],
      persistentVolumeClaimRetentionPolicy: { whenDeleted: "Delete", whenScaled: "Delete" },
    });
    finish();
    expect(owners("data-db-2")).toEqual(["StatefulSet"]);
    world.gracefulPods = true;
    world.change(statefulSets, KEY, { spec: { replicas: 2 } });
    settle();
    expect(owners("data-db-2")).toEqual(["Pod"]);
    // Scaled up again before the claim is gone: it is not used any more.
    world.remove(pods, "x/db-2");
    world.change(statefulSets, KEY, { spec: { replicas: 3 } });
    settle();
    expect(names()).toEqual(["db-0", "db-1"]);
    world.remove(persistentVolumeClaims, "x/data-db-2");
    finish();
    expect(names()).toEqual(["db-0", "db-1", "db-2"]);
    const retain = { whenDeleted: "Retain", whenScaled: "Retain" };
    const body = { spec: { persistentVolumeClaimRetentionPolicy: retain } };
    world.change(statefulSets, KEY, body);
    settle();
    expect(owners("data-db-0") ?? []).toEqual([]);
  });
});

const end = (ordinal: number) =>
  world.change(pods, `x/db-${ordinal}`, { status: podStatus(world, { phase: "Failed" }) });

test("pods beyond the number that have ended hold nothing back", () => {
  create({ replicas: 4 });
  finish();
  end(1);
  end(3);
  world.change(statefulSets, KEY, { spec: { replicas: 1 } });
  finish();
  expect(names()).toEqual(["db-0"]);
});

test("property: ordered sets never skip a pod, never have one more, and come to rest", () => {
  const change = fc.record({
    replicas: fc.option(fc.integer({ min: 0, max: 5 })),
    image: fc.option(fc.integer({ min: 1, max: 3 })),
    kill: fc.option(fc.integer({ min: 0, max: 4 })),
    fail: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), fc.boolean(), (changes, graceful) => {
      world = new World();
      world.gracefulPods = graceful;
      create();
      for (const { replicas, image, kill, fail } of changes) {
        for (const ordinal of fail) {
          if (world.get(pods, `x/db-${ordinal}`)) end(ordinal);
        }
        if (replicas !== null) world.change(statefulSets, KEY, { spec: { replicas } });
        if (image !== null) setImage(`db:${image}`);
        if (kill !== null && world.get(pods, `x/db-${kill}`)) {
          world.change(pods, `x/db-${kill}`, { metadata: { deletionTimestamp: world.time() } });
        }
        for (let i = 0; i < 3; i++) {
          world.run(controller, KEY);
          // One pod at a time is on its way out by the set's own will.
          expect(world.list(pods).filter(isNew).length).toBeLessThanOrEqual(1);
          for (const pod of world.list(pods).filter(isNew)) runPod(world, keyOf(pod));
          for (const pod of world.list(pods)) {
            if (pod.metadata.deletionTimestamp) world.remove(pods, keyOf(pod));
          }
        }
      }
      for (let i = 0; i < 60; i++) {
        settle();
        for (const pod of world.list(pods).filter(isNew)) runPod(world, keyOf(pod));
        for (const pod of world.list(pods)) {
          if (pod.metadata.deletionTimestamp) world.remove(pods, keyOf(pod));
        }
      }
      const wanted = world.get(statefulSets, KEY)?.spec?.replicas ?? 0;
      expect(names()).toEqual(Array.from({ length: wanted }, (_, i) => `db-${i}`));
      const image = world.get(statefulSets, KEY)?.spec?.template?.spec?.containers[0]?.image;
      expect(Object.values(images()).every((one) => one === image)).toBe(true);
      expect(settle()).toBe(0);
    }),
    tries(60),
  );
});

test("property: an update of either order never misses more than it may, and ends", () => {
  const scenario = fc.record({
    replicas: fc.integer({ min: 1, max: 6 }),
    maxUnavailable: fc.constantFrom<number | string>(1, 2, 3, "40%"),
    podManagementPolicy: fc.constantFrom("Parallel", "OrderedReady"),
    start: fc.constantFrom(0, 5),
    minReadySeconds: fc.constantFrom(0, 10),
    chance: fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })),
  });
  fc.assert(
    fc.property(scenario, ({ replicas, maxUnavailable, start, chance, ...rest }) => {
      world = new World();
      const updateStrategy = { type: "RollingUpdate", rollingUpdate: { maxUnavailable } };
      create({ replicas, ordinals: { start }, updateStrategy, ...rest });
      const grow = () => {
        finish();
        world.now += 11_000;
      };
      for (let i = 0; i <= replicas; i++) grow();
      expect(status()?.availableReplicas).toBe(replicas);
      world.gracefulPods = true;
      setImage("db:2");
      const most =
        typeof maxUnavailable === "number"
          ? maxUnavailable
          : Math.max(1, Math.floor(replicas * 0.4));
      const next = () => chance.next().value ?? 0.5;
      for (let step = 0; step < 120; step++) {
        world.run(controller, KEY);
        for (const pod of world.list(pods)) {
          if (isNew(pod) && next() < 0.4) runPod(world, keyOf(pod));
          if (pod.metadata.deletionTimestamp && next() < 0.4) world.remove(pods, keyOf(pod));
        }
        world.now += next() < 0.3 ? 11_000 : 1_000;
        const standing = world.list(pods).filter((pod) => !pod.metadata.deletionTimestamp);
        const ready = standing.filter((pod) => pod.status?.conditions?.[0]?.status === "True");
        expect(ready.length).toBeGreaterThanOrEqual(replicas - most);
      }
      world.gracefulPods = false;
      for (const pod of world.list(pods)) {
        if (pod.metadata.deletionTimestamp) world.remove(pods, keyOf(pod));
      }
      for (let i = 0; i <= replicas; i++) grow();
      settle();
      expect(Object.values(images())).toEqual(new Array(replicas).fill("db:2"));
      expect(names()).toContain(`db-${start}`);
      expect(status()?.currentRevision).toBe(status()?.updateRevision);
      expect(settle()).toBe(0);
    }),
    tries(40),
  );
}, 240_000);
