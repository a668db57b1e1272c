import { expect } from "bun:test";
import fc from "fast-check";
import {
  localProvisionerController,
  localReleaseController,
} from "#controllers/localprovisioner/controller.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import {
  LOCAL_PROVISIONER,
  STORAGE_PATH,
  VOLUME_FINALIZER,
  VOLUME_NODE,
} from "#resources/localvolume.ts";
import { converges } from "#test/support/converge.ts";

const SELECTED = "volume.kubernetes.io/selected-node";

converges("a claim that can be served gets one volume on its node, another none", {
  any: fc.record({
    offers: fc.array(fc.boolean(), { maxLength: 3 }),
    waits: fc.boolean(),
    selected: fc.option(fc.integer({ min: 0, max: 4 })),
    mode: fc.constantFrom("ReadWriteOnce", "ReadWriteMany"),
    provisioner: fc.constantFrom(LOCAL_PROVISIONER, "x.io/other"),
    goes: fc.boolean(),
  }),
  build(world, value) {
    for (const [i, offers] of value.offers.entries()) {
      world.put(nodes, {
        metadata: { name: `n${i}`, ...(offers && { annotations: { [STORAGE_PATH]: "/srv" } }) },
        status: { conditions: [{ type: "Ready", status: "True" }] },
      });
    }
    world.put(storageClasses, {
      metadata: { name: "local" },
      provisioner: value.provisioner,
      volumeBindingMode: value.waits ? "WaitForFirstConsumer" : "Immediate",
    });
    const annotations = value.selected === null ? {} : { [SELECTED]: `n${value.selected}` };
    world.put(persistentVolumeClaims, {
      metadata: {
        namespace: "x",
        name: "c",
        annotations,
        ...(value.goes && { deletionTimestamp: world.time(), finalizers: ["x/y"] }),
      },
      spec: { storageClassName: "local", accessModes: [value.mode] },
    });
    return [localProvisionerController];
  },
  always: (world) => expect(world.list(persistentVolumes).length).toBeLessThanOrEqual(1),
  rest(world, value) {
    const { offers, selected, waits } = value;
    const serves = value.provisioner === LOCAL_PROVISIONER && !value.goes;
    const known = selected !== null && selected < offers.length;
    const place = known
      ? offers[selected] === true
      : !waits && (selected === null || !known) && offers.includes(true);
    const served = serves && value.mode === "ReadWriteOnce" && place;
    const [volume] = world.list(persistentVolumes);
    expect(volume !== undefined).toBe(served);
    const claim = world.get(persistentVolumeClaims, "x/c");
    if (volume === undefined) return;
    expect(volume.spec?.claimRef?.uid).toBe(claim?.metadata.uid ?? "");
    if (known) expect(volume.metadata.labels?.[VOLUME_NODE]).toBe(`n${selected}`);
  },
  roundsMax: 2,
});

converges("released volumes go where their policy says so, and Retain keeps the data", {
  any: fc.record({
    policy: fc.constantFrom("Delete", "Retain"),
    phase: fc.constantFrom("Available", "Bound", "Released", "Failed"),
    hasNode: fc.boolean(),
    goes: fc.boolean(),
  }),
  build(world, { policy, phase, hasNode, goes }) {
    if (hasNode) world.put(nodes, { metadata: { name: "n1" } });
    world.put(persistentVolumes, {
      metadata: {
        name: "v",
        labels: { [VOLUME_NODE]: "n1" },
        annotations: { "pv.kubernetes.io/provisioned-by": LOCAL_PROVISIONER },
        finalizers: [VOLUME_FINALIZER],
        ...(goes && { deletionTimestamp: world.time() }),
      },
      spec: { local: { path: "/srv/v" }, persistentVolumeReclaimPolicy: policy },
      status: { phase },
    });
    return [localReleaseController];
  },
  rest(world, { policy, phase, hasNode, goes }) {
    const volume = world.get(persistentVolumes, "v");
    const leaves = goes || (policy === "Delete" && phase === "Released");
    // With a node there, the folder is the node's to remove, and the finalizer with it.
    expect(volume === undefined).toBe(leaves && !hasNode);
    if (volume) expect(volume.metadata.deletionTimestamp !== undefined).toBe(leaves);
  },
  roundsMax: 2,
});
