import { expect } from "bun:test";
import fc from "fast-check";
import { isTerminal } from "#controllers/common/pods.ts";
import {
  attributesClassProtection,
  claimProtection,
  volumeProtection,
} from "#controllers/storageprotection/controller.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { volumeAttributesClasses } from "#resources/kinds/volumeattributesclass.ts";
import { anyPod, putPod } from "#test/support/anypod.ts";
import { converges } from "#test/support/converge.ts";
import type { World } from "#test/support/world.ts";

const anyState = fc.record({ goes: fc.boolean(), kept: fc.boolean() });

/** An object that goes has a finalizer, or it would be gone. */
function meta(world: World, finalizer: string, state: { goes: boolean; kept: boolean }) {
  const { goes, kept } = state;
  return {
    ...((kept || goes) && { finalizers: kept ? [finalizer] : ["x.io/other"] }),
    ...(goes && { deletionTimestamp: world.time() }),
  };
}

converges("a claim stays while a pod on a node uses it, and no longer", {
  any: fc.record({ state: anyState, pods: fc.array(anyPod, { maxLength: 5 }) }),
  build(world, { state, pods: all }) {
    const own = meta(world, "kubernetes.io/pvc-protection", state);
    world.put(persistentVolumeClaims, { metadata: { namespace: "x", name: "c", ...own } });
    const volumes = [{ name: "v", persistentVolumeClaim: { claimName: "c" } }];
    for (const [i, one] of all.entries())
      putPod(world, `p${i}`, one, { spec: { containers: [], volumes } });
    return [claimProtection];
  },
  rest(world, { state: { goes, kept } }) {
    const claim = world.get(persistentVolumeClaims, "x/c");
    const finalizers = claim?.metadata.finalizers ?? [];
    const used = world.list(pods).some((pod) => pod.spec?.nodeName && !isTerminal(pod));
    if (!goes) expect(finalizers).toContain("kubernetes.io/pvc-protection");
    else if (kept) expect(claim !== undefined).toBe(used);
    else expect(finalizers).toEqual(["x.io/other"]);
  },
  roundsMax: 1,
});

converges("a volume stays while it is bound, and no longer", {
  any: fc.record({ state: anyState, phase: fc.constantFrom("Available", "Bound", "Released") }),
  build(world, { state, phase }) {
    const own = meta(world, "kubernetes.io/pv-protection", state);
    world.put(persistentVolumes, { metadata: { name: "v", ...own }, spec: {}, status: { phase } });
    return [volumeProtection];
  },
  rest(world, { state: { goes, kept }, phase }) {
    const volume = world.get(persistentVolumes, "v");
    const finalizers = volume?.metadata.finalizers ?? [];
    if (!goes) expect(finalizers).toContain("kubernetes.io/pv-protection");
    else if (kept) expect(volume !== undefined).toBe(phase === "Bound");
    else expect(finalizers).toEqual(["x.io/other"]);
  },
  roundsMax: 1,
});

converges("a class stays while a volume or a claim names it, and no longer", {
  any: fc.record({ state: anyState, byVolume: fc.boolean(), byClaim: fc.boolean() }),
  build(world, { state, byVolume, byClaim }) {
    const own = meta(world, "kubernetes.io/vac-protection", state);
    world.put(volumeAttributesClasses, { metadata: { name: "fast", ...own }, driverName: "x.io" });
    const spec = { volumeAttributesClassName: "fast" };
    if (byVolume) world.put(persistentVolumes, { metadata: { name: "v" }, spec });
    if (byClaim)
      world.put(persistentVolumeClaims, { metadata: { namespace: "x", name: "c" }, spec });
    return [attributesClassProtection];
  },
  rest(world, { state: { goes, kept }, byVolume, byClaim }) {
    const found = world.get(volumeAttributesClasses, "fast");
    const finalizers = found?.metadata.finalizers ?? [];
    if (!goes) expect(finalizers).toContain("kubernetes.io/vac-protection");
    else if (kept) expect(found !== undefined).toBe(byVolume || byClaim);
    else expect(finalizers).toEqual(["x.io/other"]);
  },
  roundsMax: 1,
});
