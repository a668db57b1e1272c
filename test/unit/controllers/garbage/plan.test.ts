import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { garbageController as controller } from "#controllers/garbage/controller.ts";
import { concerned, graphKinds, idOf } from "#controllers/garbage/graph.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { secrets } from "#resources/kinds/secret.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { OwnerReference } from "#resources/types.gen.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});

function put(name: string, metadata: object = {}): Stored {
  return world.put(configMaps, { metadata: { namespace: "x", name, ...metadata } });
}

const refTo = (owner: Stored, more: Partial<OwnerReference> = {}): OwnerReference => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  name: owner.metadata.name,
  uid: owner.metadata.uid,
  ...more,
});

/** As the loop does: read, ask the API about what the caches do not show, plan, apply. */
async function run(id: string): Promise<number> {
  let state = controller.read(id, { caches: world.caches, now: world.now, random: () => 0 });
  if (state === undefined) return 0;
  const client = {
    get: async (kind: typeof configMaps, ref: { namespace?: string; name: string }) =>
      world.get(kind, keyOf({ metadata: ref })),
  };
  state = (await controller.confirm?.(state, client as never)) ?? state;
  const { actions } = controller.plan(state, world.now);
  for (const action of actions) world.apply(action);
  return actions.length;
}

/** Every object is looked at until nothing happens any more. */
async function settle(): Promise<number> {
  for (let round = 0; round < 30; round++) {
    let actions = 0;
    for (const kind of graphKinds(world.caches)) {
      for (const key of [...world.items(kind).keys()]) actions += await run(idOf(kind, key));
    }
    if (actions === 0) return round;
  }
  throw new Error("not settled");
}

const MARKS = { Foreground: "foregroundDeletion", Orphan: "orphan" };

function deletion(policy: "Foreground" | "Orphan" | undefined, name: string): void {
  const old = world.get(configMaps, `x/${name}`);
  if (policy === undefined) world.remove(configMaps, `x/${name}`);
  else
    put(name, { ...old?.metadata, finalizers: [MARKS[policy]], deletionTimestamp: world.time() });
}

const left = () => world.list(configMaps).map((one) => one.metadata.name);

describe("background", () => {
  test("dependents of what is gone go, and theirs", async () => {
    const a = put("a");
    const b = put("b", { ownerReferences: [refTo(a)] });
    put("c", { ownerReferences: [refTo(b)] });
    put("d");
    expect(await settle()).toBe(0);
    deletion(undefined, "a");
    await settle();
    expect(left()).toEqual(["d"]);
  });

  test("an object with another owner stays and forgets the one that is gone", async () => {
    const [a, b] = [put("a"), put("b")];
    put("c", { ownerReferences: [refTo(a), refTo(b)] });
    deletion(undefined, "a");
    await settle();
    expect(world.get(configMaps, "x/c")?.metadata.ownerReferences).toEqual([refTo(b)]);
  });

  test("a new object of the owner's name is not the owner", async () => {
    const a = put("a");
    put("b", { ownerReferences: [refTo(a)] });
    deletion(undefined, "a");
    put("a", { uid: "another" });
    await settle();
    expect(left()).toEqual(["a"]);
  });
});

describe("safety", () => {
  test("an owner that a cache misses is asked for before anything is deleted", async () => {
    const a = put("a");
    put("b", { ownerReferences: [refTo(a)] });
    const state = controller.read(idOf(configMaps, "x/b"), {
      caches: {
        ...world.caches,
        metadataOf: () => ({
          ...world.caches.of(configMaps),
          get: (key: string) => (key === "x/a" ? undefined : world.get(configMaps, key)),
        }),
      },
      now: 0,
      random: () => 0,
    });
    expect(state?.doubts).toHaveLength(1);
    const client = { get: async () => a };
    const sure = state && (await controller.confirm?.(state, client as never));
    expect(sure && controller.plan(sure, 0).actions).toEqual([]);
  });

  test("owners are those of the namespace, never of the whole cluster", async () => {
    const a = put("a");
    world.put(secrets, { metadata: { namespace: "y", name: "s", ownerReferences: [refTo(a)] } });
    world.put(nodes, { metadata: { name: "n", ownerReferences: [refTo(a)] } });
    await settle();
    expect(world.get(secrets, "y/s")).toBeUndefined();
    expect(world.get(nodes, "n")).toBeDefined();
  });

  test("an owner of a kind that is not served keeps its dependents", async () => {
    const a = put("a");
    put("b", { ownerReferences: [refTo(a, { apiVersion: "x.io/v1", kind: "Thing" })] });
    await settle();
    expect(left()).toContain("b");
  });

  test("an owner of the whole cluster owns in every namespace", async () => {
    const space = world.put(namespaces, { metadata: { name: "x" } });
    put("b", { ownerReferences: [refTo(space, { kind: "Namespace" })] });
    await settle();
    expect(left()).toEqual(["b"]);
    world.remove(namespaces, "x");
    await settle();
    expect(left()).toEqual([]);
  });
});

describe("foreground", () => {
  test("the owner stays until its blocking dependents are gone, the deepest first", async () => {
    const block: Partial<OwnerReference> = { blockOwnerDeletion: true };
    const a = put("a");
    const b = put("b", { ownerReferences: [refTo(a, block)] });
    put("c", { ownerReferences: [refTo(b, block)], finalizers: ["x.io/hold"] });
    deletion("Foreground", "a");
    await settle();
    expect(left()).toEqual(["a", "b", "c"]);
    expect(world.get(configMaps, "x/c")?.metadata.deletionTimestamp).toBeDefined();
    world.remove(configMaps, "x/c");
    await settle();
    expect(left()).toEqual([]);
  });

  test("a dependent that does not block does not hold it", async () => {
    const a = put("a");
    put("b", { ownerReferences: [refTo(a)], finalizers: ["x.io/hold"] });
    deletion("Foreground", "a");
    await settle();
    expect(left()).toEqual(["b"]);
  });

  test("a circle comes to an end", async () => {
    const a = put("a");
    const b = put("b", { ownerReferences: [refTo(a, { blockOwnerDeletion: true })] });
    put("a", { ...a.metadata, ownerReferences: [refTo(b, { blockOwnerDeletion: true })] });
    deletion("Foreground", "a");
    await settle();
    expect(left()).toEqual([]);
  });
});

test("orphan: dependents stay and forget the owner", async () => {
  const a = put("a");
  put("b", { ownerReferences: [refTo(a)] });
  deletion("Orphan", "a");
  await settle();
  expect(left()).toEqual(["b"]);
  expect(world.get(configMaps, "x/b")?.metadata.ownerReferences ?? []).toEqual([]);
});

test("what is woken by a change: the object, its dependents when it goes, its owners then", () => {
  const a = put("a");
  const b = put("b", { ownerReferences: [refTo(a)] });
  expect(concerned(configMaps, a, world.caches)).toEqual([]);
  expect(concerned(configMaps, b, world.caches)).toEqual(["configmaps|x/b"]);
  deletion(undefined, "a");
  expect(concerned(configMaps, a, world.caches)).toEqual(["configmaps|x/b"]);
  world.remove(configMaps, "x/b");
  expect(concerned(configMaps, b, world.caches)).toEqual(["configmaps|x/a"]);
});

test("an owner that waits is woken when a reference to it changes", () => {
  const a = put("a");
  const b = put("b", { ownerReferences: [refTo(a, { blockOwnerDeletion: true })] });
  deletion("Foreground", "a");
  expect(concerned(configMaps, b, world.caches)).toEqual(["configmaps|x/b", "configmaps|x/a"]);
});

test("property: nothing owned by what is gone is left, nothing else is lost", async () => {
  const node = fc.record({
    parents: fc.array(fc.integer({ min: 0, max: 14 }), { maxLength: 2 }),
    deleted: fc.option(fc.constantFrom<"Foreground" | undefined>("Foreground", undefined), {
      freq: 3,
    }),
    block: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(node, { minLength: 1, maxLength: 15 }), async (tree) => {
      world = new World();
      const made: Stored[] = [];
      const parentsOf: number[][] = [];
      for (const [i, { parents, block }] of tree.entries()) {
        const owners = [...new Set(parents.filter((parent) => parent < i))];
        parentsOf.push(owners);
        const refs = owners.map((at) => refTo(made[at] as Stored, { blockOwnerDeletion: block }));
        made.push(put(`o${i}`, refs.length > 0 ? { ownerReferences: refs } : {}));
      }
      const dead = new Set<number>();
      for (const [i, { deleted }] of tree.entries()) {
        if (deleted === null) continue;
        deletion(deleted, `o${i}`);
        dead.add(i);
      }
      await settle();
      for (const [i, owners] of parentsOf.entries()) {
        if (owners.length > 0 && owners.every((owner) => dead.has(owner))) dead.add(i);
      }
      const expected = tree.flatMap((_, i) => (dead.has(i) ? [] : [`o${i}`]));
      expect(left().sort()).toEqual(expected.sort());
    }),
    tries(80),
  );
});
