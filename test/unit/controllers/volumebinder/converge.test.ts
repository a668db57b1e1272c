import { expect } from "bun:test";
import fc from "fast-check";
import { volumeBinderController } from "#controllers/volumebinder/controller.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { converges } from "#test/support/converge.ts";

const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
const BOUND_BY = "pv.kubernetes.io/bound-by-controller";

converges("a volume's phase follows its claim, and data under Retain are never given away", {
  any: fc.record({
    policy: fc.constantFrom("Retain", "Delete", "Recycle"),
    ref: fc.constantFrom(undefined, "name", "uid", "former"),
    claim: fc.constantFrom(undefined, "v", "other", ""),
    dynamic: fc.boolean(),
    ours: fc.boolean(),
    phase: fc.constantFrom(undefined, "Available", "Bound", "Released", "Failed"),
  }),
  build(world, value) {
    const uid = value.ref === "uid" ? { uid: "uid-c" } : { uid: "uid-former" };
    const claimRef = {
      namespace: "x",
      name: "c",
      ...(value.ref !== "name" && uid),
    };
    world.put(persistentVolumes, {
      metadata: {
        name: "v",
        annotations: {
          ...(value.dynamic && { [PROVISIONED_BY]: "x.io/disk" }),
          ...(value.ours && { [BOUND_BY]: "yes" }),
        },
      },
      spec: {
        persistentVolumeReclaimPolicy: value.policy,
        ...(value.ref !== undefined && { claimRef }),
      },
      ...(value.phase && { status: { phase: value.phase } }),
    });
    if (value.claim !== undefined) {
      world.put(persistentVolumeClaims, {
        metadata: { namespace: "x", name: "c", uid: "uid-c" },
        spec: value.claim === "" ? {} : { volumeName: value.claim },
      });
    }
    return [volumeBinderController];
  },
  always: (_, __, action) => expect(["patch", "event"]).toContain(action.do),
  rest(world, { policy, ref, claim, dynamic, phase }) {
    const volume = world.get(persistentVolumes, "v");
    const has = volume?.status?.phase;
    const left = ref === "former" || (ref === "uid" && claim === undefined);
    const uid = volume?.spec?.claimRef?.uid;
    if (left) {
      // Whose data they are is not forgotten: nobody else gets the volume.
      expect(uid).toBeDefined();
      const told = policy === "Retain" || (policy === "Delete" && dynamic);
      expect(has).toBe(phase === "Failed" || !told ? "Failed" : "Released");
    } else if (ref !== "uid") expect(has).toBe("Available");
    else if (claim === "v") expect(has).toBe("Bound");
    else if (claim === "other" && !(dynamic && policy === "Delete")) {
      expect([uid, has]).toEqual([undefined, "Available"]);
    }
  },
  roundsMax: 3,
});
