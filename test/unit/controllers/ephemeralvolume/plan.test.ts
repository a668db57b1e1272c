import { expect, test } from "bun:test";
import { ephemeralController as controller } from "#controllers/ephemeralvolume/controller.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf } from "#resources/meta.ts";
import { World } from "#test/support/world.ts";

const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } };
const volumes = [
  {
    name: "scratch",
    ephemeral: { volumeClaimTemplate: { metadata: { labels: { a: "b" } }, spec } },
  },
  { name: "plain", emptyDir: {} },
];

function setup(): World {
  const world = new World();
  world.put(pods, { metadata: { namespace: "x", name: "p" }, spec: { containers: [], volumes } });
  return world;
}

test("a pod's own claim is made, and is the pod's", () => {
  const world = setup();
  world.settle([controller]);
  const claim = world.get(persistentVolumeClaims, "x/p-scratch");
  expect(claim?.metadata.labels).toEqual({ a: "b" });
  expect(controllerOf(claim ?? {})).toMatchObject({ kind: "Pod", name: "p" });
  expect(world.list(persistentVolumeClaims)).toHaveLength(1);
});

test("a claim of that name which is not the pod's is not used, and it is said", () => {
  const world = setup();
  world.put(persistentVolumeClaims, { metadata: { namespace: "x", name: "p-scratch" }, spec });
  world.settle([controller]);
  expect(world.writes).toBe(0);
  expect(world.events[0]).toContain("was not created for the pod");
});

test("a pod that ends gets none", () => {
  const world = setup();
  world.change(pods, "x/p", { status: { phase: "Succeeded" } });
  world.settle([controller]);
  expect(world.writes).toBe(0);
});
