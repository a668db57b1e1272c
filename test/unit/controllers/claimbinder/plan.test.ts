import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Controller } from "#client/controller.ts";
import { claimBinderController } from "#controllers/claimbinder/controller.ts";
import { plan as planVolume } from "#controllers/volumebinder/plan.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import type {
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  StorageClass,
} from "#resources/types.gen.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
});

/** The volumes' controller, without the question to the API that its real one asks. */
const volumes: Controller<Parameters<typeof planVolume>[0]> = {
  name: "volumes",
  kind: persistentVolumes,
  triggers: [],
  read(key, { caches }) {
    const volume = caches.of(persistentVolumes).get(key);
    if (volume === undefined) return undefined;
    const { namespace, name } = volume.spec?.claimRef ?? {};
    return { volume, claim: caches.of(persistentVolumeClaims).get(`${namespace}/${name}`) };
  },
  plan: planVolume,
};

function volume(name: string, storage: string, more: Partial<PersistentVolumeSpec> = {}): void {
  world.put(persistentVolumes, {
    metadata: { name },
    spec: {
      capacity: { storage },
      accessModes: ["ReadWriteOnce"],
      hostPath: { path: "/x" },
      ...more,
    },
  });
}

function claim(name: string, storage: string, more: Partial<PersistentVolumeClaimSpec> = {}): void {
  const requests = { storage };
  world.put(persistentVolumeClaims, {
    metadata: { namespace: "x", name },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "",
      resources: { requests },
      ...more,
    },
  });
}

const storageClass = (name: string, more: Partial<StorageClass> = {}) =>
  world.put(storageClasses, { metadata: { name }, provisioner: "x.io/disk", ...more });

const settle = () => world.settle([volumes, claimBinderController]);
const get = (name: string) => world.get(persistentVolumeClaims, `x/${name}`);
const bound = (name: string) => get(name)?.spec?.volumeName;
const pv = (name: string) => world.get(persistentVolumes, name);

describe("a claim takes", () => {
  test("the smallest volume that fits, and both know of it", () => {
    volume("large", "100Gi");
    volume("fit", "10Gi");
    volume("small", "1Gi");
    settle();
    claim("c", "5Gi");
    settle();
    expect(bound("c")).toBe("fit");
    expect(get("c")?.status).toMatchObject({
      phase: "Bound",
      capacity: { storage: "10Gi" },
      accessModes: ["ReadWriteOnce"],
    });
    expect(pv("fit")?.spec?.claimRef).toMatchObject({
      name: "c",
      uid: get("c")?.metadata.uid ?? "",
    });
    expect(pv("fit")?.status?.phase).toBe("Bound");
    expect(pv("large")?.status?.phase).toBe("Available");
    expect(settle()).toBe(0);
  });

  test("none of another class, mode or access", () => {
    volume("class", "10Gi", { storageClassName: "fast" });
    volume("mode", "10Gi", { volumeMode: "Block" });
    volume("access", "10Gi", { accessModes: ["ReadOnlyMany"] });
    settle();
    claim("c", "1Gi");
    settle();
    expect(bound("c") ?? "").toBe("");
    expect(get("c")?.status?.phase).toBe("Pending");
    expect(world.events.at(-1)).toContain("FailedBinding");
  });

  test("the one that it names, or that names it", () => {
    volume("a", "10Gi");
    volume("b", "10Gi", { claimRef: { namespace: "x", name: "wished" } });
    settle();
    claim("named", "1Gi", { volumeName: "a" });
    claim("wished", "1Gi");
    settle();
    expect([bound("named"), bound("wished")]).toEqual(["a", "b"]);
    claim("late", "1Gi", { volumeName: "a" });
    settle();
    expect(get("late")?.status?.phase).toBe("Pending");
    expect(world.events.some((text) => text.includes("already bound to a different claim"))).toBe(
      true,
    );
  });

  test("one that its selector chooses", () => {
    volume("a", "10Gi");
    volume("b", "20Gi");
    world.change(persistentVolumes, "b", { metadata: { labels: { disk: "ssd" } } });
    settle();
    claim("c", "1Gi", { selector: { matchLabels: { disk: "ssd" } } });
    settle();
    expect(bound("c")).toBe("b");
  });
});

describe("provisioning", () => {
  const asked = (name: string) =>
    get(name)?.metadata.annotations?.["volume.kubernetes.io/storage-provisioner"];

  test("is asked for where no volume is there, at once or after the first pod", () => {
    storageClass("now");
    storageClass("later", { volumeBindingMode: "WaitForFirstConsumer" });
    claim("a", "1Gi", { storageClassName: "now" });
    claim("b", "1Gi", { storageClassName: "later" });
    settle();
    expect(asked("a")).toBe("x.io/disk");
    expect(asked("b")).toBeUndefined();
    expect(world.events.some((text) => text.includes("WaitForFirstConsumer"))).toBe(true);
    const annotations = { "volume.kubernetes.io/selected-node": "n1" };
    world.change(persistentVolumeClaims, "x/b", { metadata: { annotations } });
    settle();
    expect(asked("b")).toBe("x.io/disk");
    volume("made", "1Gi", {
      storageClassName: "later",
      claimRef: { namespace: "x", name: "b", uid: get("b")?.metadata.uid ?? "" },
    });
    settle();
    expect(bound("b")).toBe("made");
  });

  test("comes from the default class where none is named", () => {
    storageClass("old", {});
    const annotations = { "storageclass.kubernetes.io/is-default-class": "true" };
    storageClass("std", { metadata: { name: "std", annotations } });
    claim("c", "1Gi");
    world.change(persistentVolumeClaims, "x/c", { spec: { storageClassName: null } });
    settle();
    expect(get("c")?.spec?.storageClassName).toBe("std");
    expect(asked("c")).toBe("x.io/disk");
  });
});

describe("an end", () => {
  test("a volume without its claim is released, and is nobody's but keeps its data", () => {
    volume("v", "1Gi");
    settle();
    claim("c", "1Gi");
    settle();
    world.remove(persistentVolumeClaims, "x/c");
    settle();
    expect(pv("v")?.status?.phase).toBe("Released");
    claim("c", "1Gi");
    settle();
    expect(bound("c") ?? "").toBe("");
    world.change(persistentVolumes, "v", { spec: { claimRef: null } });
    settle();
    expect(bound("c")).toBe("v");
  });

  test("a claim without its volume is lost, for ever", () => {
    volume("v", "1Gi");
    settle();
    claim("c", "1Gi");
    settle();
    world.remove(persistentVolumes, "v");
    settle();
    expect(get("c")?.status?.phase).toBe("Lost");
    expect(world.events.at(-1)).toContain("ClaimLost");
    expect(settle()).toBe(0);
  });
});

test("property: no volume is ever of two claims, and bound ones agree", () => {
  const step = fc.record({
    what: fc.constantFrom("volume", "claim", "claim", "drop", "settle"),
    id: fc.integer({ min: 0, max: 5 }),
    size: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      world = new World();
      for (const { what, id, size } of steps) {
        if (what === "volume" && !pv(`v${id}`)) volume(`v${id}`, `${size}Gi`);
        if (what === "claim" && !get(`c${id}`)) claim(`c${id}`, `${size}Gi`);
        if (what === "drop") world.remove(persistentVolumeClaims, `x/c${id}`);
        if (what === "settle") settle();
      }
      settle();
      const claims = world.list(persistentVolumeClaims);
      const taken = claims.flatMap(({ spec }) => (spec?.volumeName ? [spec.volumeName] : []));
      expect(new Set(taken).size).toBe(taken.length);
      for (const one of claims.filter(({ status }) => status?.phase === "Bound")) {
        const ref = pv(one.spec?.volumeName ?? "")?.spec?.claimRef;
        expect(ref?.uid).toBe(one.metadata.uid);
      }
    }),
    tries(60),
  );
});
