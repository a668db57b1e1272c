import { beforeEach, describe, expect, test } from "bun:test";
import { claimBinderController } from "#controllers/claimbinder/controller.ts";
import {
  localProvisionerController,
  localReleaseController,
} from "#controllers/localprovisioner/controller.ts";
import { planVolume } from "#controllers/localprovisioner/plan.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import { LOCAL_PROVISIONER } from "#resources/localvolume.ts";
import type { PersistentVolumeClaimSpec, StorageClass } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

let world: World;
beforeEach(() => {
  world = new World();
  node("n1");
  node("n2");
  storageClass();
});

function node(name: string, more: object = {}): void {
  world.put(nodes, {
    metadata: {
      name,
      labels: { "kubernetes.io/hostname": name },
      annotations: { "bramble.dev/storage-path": `/data/${name}` },
    },
    status: { conditions: [{ type: "Ready", status: "True" }] },
    ...more,
  });
}

const storageClass = (more: Partial<StorageClass> = {}) =>
  world.put(storageClasses, {
    metadata: { name: "local-path" },
    provisioner: LOCAL_PROVISIONER,
    volumeBindingMode: "WaitForFirstConsumer",
    ...more,
  });

function claim(selected?: string, spec: Partial<PersistentVolumeClaimSpec> = {}): void {
  world.put(persistentVolumeClaims, {
    metadata: {
      namespace: "x",
      name: "c",
      uid: "u1",
      ...(selected && { annotations: { "volume.kubernetes.io/selected-node": selected } }),
    },
    spec: {
      accessModes: ["ReadWriteOnce"],
      storageClassName: "local-path",
      resources: { requests: { storage: "1Gi" } },
      ...spec,
    },
  });
}

const controllers = [localProvisionerController, localReleaseController, claimBinderController];
const made = () => world.get(persistentVolumes, "pvc-u1");
const annotations = () => world.get(persistentVolumeClaims, "x/c")?.metadata.annotations ?? {};

describe("a claim", () => {
  test("waits for a pod's node, then gets a folder there, and no second one", () => {
    claim();
    world.settle(controllers);
    expect(made()).toBeUndefined();
    claim("n2");
    world.settle(controllers);
    expect(made()).toMatchObject({
      metadata: {
        labels: { "bramble.dev/node": "n2" },
        annotations: { "pv.kubernetes.io/provisioned-by": LOCAL_PROVISIONER },
        finalizers: ["bramble.dev/local-volume"],
      },
      spec: {
        capacity: { storage: "1Gi" },
        persistentVolumeReclaimPolicy: "Delete",
        local: { path: "/data/n2/pvc-u1_x_c" },
        nodeAffinity: {
          required: {
            nodeSelectorTerms: [
              {
                matchExpressions: [
                  { key: "kubernetes.io/hostname", operator: "In", values: ["n2"] },
                ],
              },
            ],
          },
        },
      },
    });
    expect(world.get(persistentVolumeClaims, "x/c")?.spec?.volumeName).toBe("pvc-u1");
    expect(world.settle(controllers)).toBe(0);
  });

  test("of a class that does not wait goes to the ready node with the fewest volumes", () => {
    storageClass({ volumeBindingMode: "Immediate", reclaimPolicy: "Retain" });
    node("n1", { spec: { unschedulable: true } });
    claim();
    world.settle(controllers);
    expect(made()?.metadata.labels?.["bramble.dev/node"]).toBe("n2");
    expect(made()?.spec?.persistentVolumeReclaimPolicy).toBe("Retain");
  });

  test("whose node is gone is given back to the scheduler", () => {
    claim("gone");
    world.run(localProvisionerController, "x/c");
    expect(made()).toBeUndefined();
    expect(annotations()["volume.kubernetes.io/selected-node"]).toBeUndefined();
    expect(world.events.join()).toContain('node "gone" not found');
  });

  test("waits for a node that has not told its folder", () => {
    node("n3", { metadata: { name: "n3" } });
    claim("n3");
    world.run(localProvisionerController, "x/c");
    expect(made()).toBeUndefined();
    expect(world.events.join()).toContain("offers no local storage yet");
  });

  test.each([
    [{ volumeMode: "Block" }, {}, "block volumes are not supported"],
    [{ accessModes: ["ReadWriteMany"] }, {}, "ReadWriteMany is not supported"],
    [{ selector: {} }, {}, "Selector is not supported"],
    [{}, { parameters: { size: "x" } }, 'unknown parameter "size"'],
    [{}, { parameters: { sizeLimit: "x" } }, '"x" is none of auto, none, quota, loop'],
  ])("that cannot be served hears why: %j %j", (spec, more, words) => {
    storageClass(more);
    claim("n1", spec);
    world.run(localProvisionerController, "x/c");
    expect(made()).toBeUndefined();
    expect(world.events.join()).toContain(words);
  });
});

describe("a released volume", () => {
  const release = (policy: string): void => {
    claim("n1");
    world.settle(controllers);
    world.change(persistentVolumes, "pvc-u1", {
      spec: { persistentVolumeReclaimPolicy: policy },
      status: { phase: "Released" },
    });
    world.run(localReleaseController, "pvc-u1");
  };

  test("is deleted, and stays until its node has removed the folder", () => {
    release("Delete");
    expect(made()?.metadata.deletionTimestamp).toBeDefined();
    expect(world.settle([localReleaseController])).toBe(0);
    expect(made()).toBeDefined();
  });

  test("under Retain stays as it is", () => {
    release("Retain");
    expect(made()?.metadata.deletionTimestamp).toBeUndefined();
  });

  test("of a node that is gone goes with it", () => {
    release("Delete");
    world.remove(nodes, "n1");
    world.settle([localReleaseController]);
    expect(made()).toBeUndefined();
  });

  test("of another provisioner is not ours", () => {
    const volume = world.put(persistentVolumes, {
      metadata: { name: "v" },
      spec: { persistentVolumeReclaimPolicy: "Delete", local: { path: "/x" } },
      status: { phase: "Released" },
    });
    expect(planVolume({ volume, hasNode: true }).actions).toEqual([]);
  });
});
