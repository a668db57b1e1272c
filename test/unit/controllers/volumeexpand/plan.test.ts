import { expect, test } from "bun:test";
import fc from "fast-check";
import { volumeExpandController } from "#controllers/volumeexpand/controller.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { LOCAL_PROVISIONER } from "#resources/localvolume.ts";
import { compareQuantity } from "#resources/quantity.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

function bound(asks: string, provisioner = LOCAL_PROVISIONER): World {
  const world = new World();
  const claimRef = { namespace: "x", name: "c" };
  world.put(persistentVolumes, {
    metadata: {
      name: "v",
      annotations: {
        "pv.kubernetes.io/provisioned-by": provisioner,
        "bramble.dev/size": "1Gi",
      },
    },
    spec: { capacity: { storage: "1Gi" }, local: { path: "/x" }, claimRef },
  });
  world.put(persistentVolumeClaims, {
    metadata: claimRef,
    spec: { volumeName: "v", resources: { requests: { storage: asks } } },
    status: { phase: "Bound", capacity: { storage: "1Gi" } },
  });
  return world;
}

const settle = (world: World) => world.settle([volumeExpandController]);
const status = (world: World) => world.get(persistentVolumeClaims, "x/c")?.status;
const capacity = (world: World) => world.get(persistentVolumes, "v")?.spec?.capacity?.["storage"];
const grow = (world: World, size: string) =>
  world.change(persistentVolumes, "v", { metadata: { annotations: { "bramble.dev/size": size } } });

test("the volume is told, the claim waits for the node, then has what it asked for", () => {
  const world = bound("3Gi");
  settle(world);
  expect(capacity(world)).toBe("3Gi");
  expect(status(world)?.capacity).toEqual({ storage: "1Gi" });
  expect(status(world)?.conditions).toMatchObject([
    { type: "FileSystemResizePending", status: "True" },
  ]);
  grow(world, "3Gi");
  settle(world);
  expect(status(world)?.capacity).toEqual({ storage: "3Gi" });
  expect(status(world)?.conditions ?? []).toEqual([]);
  expect(settle(world)).toBe(0);
});

test("a claim that asks for no more is left alone", () => {
  const world = bound("1Gi");
  expect(settle(world)).toBe(0);
  expect(world.events).toEqual([]);
});

test("a volume of another provisioner is another's to expand", () => {
  const world = bound("3Gi", "example.com/disk");
  expect(settle(world)).toBe(0);
  expect(capacity(world)).toBe("1Gi");
  expect(world.events.join()).toContain("ExternalExpanding");
});

test("property: a claim never tells more than its node has made, and gets there in the end", () => {
  const size = fc.integer({ min: 1, max: 9 }).map((gib) => `${gib}Gi`);
  fc.assert(
    fc.property(size, fc.array(size, { maxLength: 5 }), (asks, steps) => {
      const world = bound(asks);
      for (const step of [...steps, asks]) {
        grow(world, step);
        settle(world);
        const has = status(world)?.capacity?.["storage"] ?? "0";
        const offered = world.get(persistentVolumes, "v")?.metadata.annotations?.[
          "bramble.dev/size"
        ];
        const most = [offered ?? "0", ...steps].reduce((a, b) =>
          compareQuantity(a, b) > 0 ? a : b,
        );
        expect(compareQuantity(has, most) <= 0 || has === "1Gi").toBe(true);
      }
      const has = status(world)?.capacity?.["storage"] ?? "0";
      expect(compareQuantity(has, asks)).toBeGreaterThanOrEqual(0);
      expect(settle(world)).toBe(0);
    }),
    tries(50),
  );
});
