import { beforeEach, expect, test } from "bun:test";
import { claimProtection as controller } from "#controllers/storageprotection/controller.ts";
import { plan } from "#controllers/storageprotection/plan.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { World } from "#test/support/world.ts";

const FINALIZER = "kubernetes.io/pvc-protection";
let world: World;
beforeEach(() => {
  world = new World();
});

const claim = (metadata: object = {}) =>
  world.put(persistentVolumeClaims, { metadata: { namespace: "x", name: "c", ...metadata } });

const pod = (nodeName: string, phase = "Running") =>
  world.put(pods, {
    metadata: { namespace: "x", name: "p" },
    spec: {
      containers: [],
      ...(nodeName && { nodeName }),
      volumes: [{ name: "data", persistentVolumeClaim: { claimName: "c" } }],
    },
    status: { phase },
  });

/** Asks as the loop does; `live` are the pods that the API has. */
async function look(live = world.list(pods)): Promise<string[]> {
  let state = controller.read("x/c", { caches: world.caches, now: 0, random: () => 0 });
  const client = { list: async () => ({ items: live }) };
  if (state) state = (await controller.confirm?.(state, client as never)) ?? state;
  for (const action of state ? plan(state).actions : []) world.apply(action);
  return world.get(persistentVolumeClaims, "x/c")?.metadata.finalizers ?? ["gone"];
}

test("a claim is protected, once", async () => {
  claim({ finalizers: ["mine"] });
  expect(await look()).toEqual(["mine", FINALIZER]);
  const { writes } = world;
  await look();
  expect(world.writes).toBe(writes);
});

test("a deleted claim stays while a placed pod uses it", async () => {
  claim({ finalizers: [FINALIZER], deletionTimestamp: world.time() });
  pod("n1");
  expect(await look()).toEqual([FINALIZER]);
  pod("n1", "Succeeded");
  expect(await look()).toEqual(["gone"]);
});

test("a pod without a node uses nothing", async () => {
  claim({ finalizers: [FINALIZER], deletionTimestamp: world.time() });
  pod("");
  expect(await look()).toEqual(["gone"]);
});

test("a pod that the cache does not show yet counts all the same", async () => {
  claim({ finalizers: [FINALIZER], deletionTimestamp: world.time() });
  const one = pod("n1");
  world.remove(pods, "x/p");
  expect(await look([one])).toEqual([FINALIZER]);
});
