import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { replicaSetController as controller } from "#controllers/replicaset/controller.ts";
import { pods } from "#resources/kinds/pod.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { controllerOf, keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";
import { podStatus, replicaSet, runPod, template } from "#test/support/build.ts";
import { tries } from "#test/support/property.ts";
import { Refused, World } from "#test/support/world.ts";

const KEY = "x/web-1";

function setup(replicas: number): World {
  const world = new World();
  world.put(replicaSets, replicaSet(replicas));
  return world;
}

const status = (world: World) => world.get(replicaSets, KEY)?.status;
const names = (world: World) => world.list(pods).map((pod) => pod.metadata.name);

function pod(world: World, name: string, more: Partial<Pod> = {}): Stored<Pod> {
  const set = world.get(replicaSets, KEY);
  const { metadata, ...rest } = more;
  return world.put(pods, {
    ...template(),
    ...rest,
    metadata: {
      namespace: "x",
      name,
      labels: { app: "web" },
      ownerReferences: [
        {
          apiVersion: "apps/v1",
          kind: "ReplicaSet",
          name: "web-1",
          uid: set?.metadata.uid ?? "",
          controller: true,
        },
      ],
      ...metadata,
    },
  });
}

describe("replicas", () => {
  test("are made, with the set as controller and its labels", () => {
    const world = setup(3);
    world.settle([controller]);
    expect(world.list(pods)).toHaveLength(3);
    const [first] = world.list(pods);
    expect(first?.metadata).toMatchObject({ generateName: "web-1-", labels: { app: "web" } });
    expect(first?.metadata.name).toMatch(/^web-1-[a-z0-9]{5}$/);
    expect(controllerOf(first ?? {})).toMatchObject({
      kind: "ReplicaSet",
      blockOwnerDeletion: true,
    });
    expect(status(world)).toMatchObject({ replicas: 3, fullyLabeledReplicas: 3 });
    expect(status(world)?.readyReplicas).toBeUndefined();
    expect(world.events.filter((text) => text.startsWith("Normal SuccessfulCreate"))).toHaveLength(
      3,
    );
  });

  test("go with the set: none is made once it is being deleted", () => {
    const world = setup(3);
    world.change(replicaSets, KEY, { metadata: { deletionTimestamp: world.time() } });
    world.settle([controller]);
    expect(world.list(pods)).toHaveLength(0);
  });

  test("that ended are replaced, and their objects stay", () => {
    const world = setup(2);
    world.settle([controller]);
    const [first] = names(world);
    runPod(world, `x/${first}`, { phase: "Failed" });
    world.settle([controller]);
    expect(world.list(pods)).toHaveLength(3);
    expect(status(world)?.replicas).toBe(2);
  });

  test("a status costs one write, and an unchanged one none", () => {
    const world = setup(2);
    world.settle([controller]);
    for (const name of names(world)) runPod(world, `x/${name}`);
    const before = world.writes;
    world.settle([controller]);
    expect(world.writes - before).toBe(1);
    expect(status(world)).toMatchObject({ readyReplicas: 2, availableReplicas: 2 });
    world.settle([controller]);
    expect(world.writes - before).toBe(1);
  });

  test("count as available after minReadySeconds, without another event", () => {
    const world = setup(1);
    world.change(replicaSets, KEY, { spec: { minReadySeconds: 10 } });
    world.settle([controller]);
    runPod(world, `x/${names(world)[0]}`);
    const state = controller.read(KEY, { caches: world.caches, now: world.now, random: () => 0 });
    expect(state && controller.plan(state, world.now + 3000).againMs).toBe(7000);
    world.settle([controller]);
    expect(status(world)).toMatchObject({ readyReplicas: 1 });
    expect(status(world)?.availableReplicas).toBeUndefined();
    world.now += 10_000;
    world.settle([controller]);
    expect(status(world)?.availableReplicas).toBe(1);
  });
});

describe("refusals", () => {
  test("are told by event and condition, which goes once it works", () => {
    const world = setup(2);
    world.gate = (action) => {
      if (action.do === "create")
        throw new Refused(action, 403, "Forbidden", "exceeded quota: pods");
    };
    world.run(controller, KEY);
    expect(world.events).toEqual(["Warning FailedCreate: Error creating: exceeded quota: pods"]);
    expect(status(world)?.conditions?.[0]).toMatchObject({
      type: "ReplicaFailure",
      status: "True",
      reason: "FailedCreate",
      message: "exceeded quota: pods",
    });
    const { writes } = world;
    world.run(controller, KEY);
    expect(world.writes).toBe(writes);
    world.gate = undefined;
    world.settle([controller]);
    expect(status(world)?.conditions).toBeUndefined();
  });

  test("of a namespace that goes are not told", () => {
    const world = setup(1);
    const message =
      'pods "a" is forbidden: unable to create new content in namespace x because it is being terminated';
    world.gate = (action) => {
      if (action.do === "create") throw new Refused(action, 403, "Forbidden", message);
    };
    world.run(controller, KEY);
    expect(world.events).toEqual([]);
  });
});

describe("adoption", () => {
  test("takes matching pods of nobody, and lets go of those that match no more", () => {
    const world = setup(2);
    pod(world, "free", { metadata: { ownerReferences: [] } });
    const other = { apiVersion: "v1", kind: "Other", name: "o", uid: "other", controller: true };
    pod(world, "taken", { metadata: { ownerReferences: [other] } });
    pod(world, "astray", { metadata: { labels: { app: "other" } } });
    world.settle([controller]);
    const ownerOf = (name: string) => controllerOf(world.get(pods, `x/${name}`) ?? {})?.kind;
    expect(ownerOf("free")).toBe("ReplicaSet");
    expect(ownerOf("taken")).toBe("Other");
    expect(ownerOf("astray")).toBeUndefined();
    expect(world.list(pods).filter((one) => controllerOf(one)?.kind === "ReplicaSet")).toHaveLength(
      2,
    );
  });
});

describe("too many pods go in the order of least loss", () => {
  const base = { ready: true, node: "n1", readyAt: "2025-01-01T00:00:00Z" };
  const cases: Array<[string, (world: World) => void, string]> = [
    [
      "unscheduled before scheduled",
      (world) => {
        pod(world, "a", {
          status: podStatus(world, base) ?? {},
          spec: { nodeName: "n1", containers: [] },
        });
        pod(world, "b");
      },
      "b",
    ],
    [
      "pending before running",
      (world) => {
        for (const [name, phase] of [
          ["a", "Running"],
          ["b", "Pending"],
        ] as const) {
          pod(world, name);
          runPod(world, `x/${name}`, { node: "n1", phase });
        }
      },
      "b",
    ],
    [
      "not ready before ready",
      (world) => {
        pod(world, "a");
        runPod(world, "x/a", base);
        pod(world, "b");
        runPod(world, "x/b", { ...base, ready: false });
      },
      "b",
    ],
    [
      "cheaper before dearer",
      (world) => {
        const cost = (value: string) => ({ "controller.kubernetes.io/pod-deletion-cost": value });
        pod(world, "a", { metadata: { annotations: cost("10") } });
        runPod(world, "x/a", base);
        pod(world, "b", { metadata: { annotations: cost("-5") } });
        runPod(world, "x/b", base);
      },
      "b",
    ],
    [
      "crowded before alone",
      (world) => {
        for (const [name, node] of [
          ["a", "n1"],
          ["b", "n2"],
          ["c", "n2"],
        ] as const) {
          pod(world, name);
          runPod(world, `x/${name}`, { ...base, node });
        }
      },
      "b or c",
    ],
    [
      "ready for a short time before ready for long",
      (world) => {
        pod(world, "a");
        runPod(world, "x/a", base);
        pod(world, "b");
        runPod(world, "x/b", { ...base, readyAt: "2025-12-31T23:59:00Z" });
      },
      "b",
    ],
    [
      "often restarted before steady",
      (world) => {
        pod(world, "a");
        runPod(world, "x/a", base);
        pod(world, "b");
        runPod(world, "x/b", { ...base, restarts: 4 });
      },
      "b",
    ],
    [
      "young before old",
      (world) => {
        pod(world, "a", { metadata: { creationTimestamp: "2024-01-01T00:00:00Z" } });
        runPod(world, "x/a", base);
        pod(world, "b", { metadata: { creationTimestamp: "2025-12-31T00:00:00Z" } });
        runPod(world, "x/b", base);
      },
      "b",
    ],
  ];
  for (const [title, arrange, gone] of cases) {
    test(title, () => {
      const world = setup(1);
      arrange(world);
      world.change(replicaSets, KEY, { spec: { replicas: world.list(pods).length - 1 } });
      world.run(controller, KEY);
      const left = names(world);
      const missing = ["a", "b", "c"].filter((name) => !left.includes(name) && gone.includes(name));
      expect(missing).toHaveLength(1);
    });
  }
});

test("property: from any state it comes to rest with exactly the pods asked for", () => {
  const anyPod = fc.record({
    phase: fc.constantFrom("Pending", "Running", "Failed", "Succeeded"),
    ready: fc.boolean(),
    owned: fc.boolean(),
    deleting: fc.boolean(),
    node: fc.option(fc.constantFrom("n1", "n2")),
  });
  fc.assert(
    fc.property(
      fc.array(anyPod, { maxLength: 12 }),
      fc.integer({ min: 0, max: 8 }),
      (some, replicas) => {
        const world = setup(replicas);
        for (const [i, { owned, deleting, phase, ready, node }] of some.entries()) {
          pod(world, `p${i}`, {
            metadata: {
              ...(!owned && { ownerReferences: [] }),
              ...(deleting && { deletionTimestamp: world.time() }),
            },
          });
          runPod(world, `x/p${i}`, { phase, ready, ...(node !== null && { node }) });
        }
        const rounds = world.settle([controller]);
        expect(rounds).toBeLessThanOrEqual(3);
        const active = world
          .list(pods)
          .filter((one) => one.metadata.deletionTimestamp === undefined)
          .filter((one) => !["Failed", "Succeeded"].includes(one.status?.phase ?? ""));
        expect(active).toHaveLength(replicas);
        expect(new Set(active.map(keyOf)).size).toBe(replicas);
        expect(status(world)?.replicas).toBe(replicas);
      },
    ),
    tries(100),
  );
});
