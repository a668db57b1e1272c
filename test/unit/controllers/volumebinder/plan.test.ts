import { expect, test } from "bun:test";
import { volumeBinderController as controller } from "#controllers/volumebinder/controller.ts";
import { plan } from "#controllers/volumebinder/plan.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import type { PersistentVolumeSpec } from "#resources/types.gen.ts";
import { World } from "#test/support/world.ts";

const world = new World();
const REF = { namespace: "x", name: "c" };

const volume = (spec: Partial<PersistentVolumeSpec>, annotations: Record<string, string> = {}) =>
  world.put(persistentVolumes, { metadata: { name: "v", annotations }, spec });
const claim = (volumeName?: string) =>
  world.put(persistentVolumeClaims, {
    metadata: { ...REF, uid: "uid-c" },
    spec: volumeName === undefined ? {} : { volumeName },
  });
const phaseOf = (state: Parameters<typeof plan>[0]) => {
  const [action] = plan(state, world.now).actions;
  if (action?.do !== "patch") return undefined;
  return (action.body as { status?: { phase?: string } }).status?.phase;
};

test("phases follow the claim", () => {
  expect(phaseOf({ volume: volume({}), claim: undefined })).toBe("Available");
  expect(phaseOf({ volume: volume({ claimRef: REF }), claim: undefined })).toBe("Available");
  const mine = { ...REF, uid: "uid-c" };
  expect(phaseOf({ volume: volume({ claimRef: mine }), claim: claim("v") })).toBe("Bound");
  expect(plan({ volume: volume({ claimRef: mine }), claim: claim() }, world.now).actions).toEqual(
    [],
  );
  expect(phaseOf({ volume: volume({ claimRef: mine }), claim: undefined })).toBe("Released");
  const old = { ...REF, uid: "uid-before" };
  expect(phaseOf({ volume: volume({ claimRef: old }), claim: claim("v") })).toBe("Released");
});

test("Delete without a provisioner that could do it is told, not done", () => {
  const spec = { claimRef: { ...REF, uid: "u" }, persistentVolumeReclaimPolicy: "Delete" };
  expect(phaseOf({ volume: volume(spec), claim: undefined })).toBe("Failed");
  const by = { "pv.kubernetes.io/provisioned-by": "x.io/disk" };
  expect(phaseOf({ volume: volume(spec, by), claim: undefined })).toBe("Released");
  expect(plan({ volume: volume(spec, by), claim: undefined }, world.now).actions).toHaveLength(1);
});

test("a volume that cannot be cleaned says so, once, and since when", () => {
  const spec = { claimRef: { ...REF, uid: "u" }, persistentVolumeReclaimPolicy: "Recycle" };
  const [status, event] = plan({ volume: volume(spec), claim: undefined }, world.now).actions;
  expect(status).toMatchObject({
    body: { status: { phase: "Failed", lastPhaseTransitionTime: world.time() } },
  });
  expect(event).toMatchObject({ type: "Warning", reason: "VolumeFailedRecycle" });
  world.change(persistentVolumes, "v", { status: { phase: "Failed" } });
  const again = world.get(persistentVolumes, "v");
  expect(again && plan({ volume: again, claim: undefined }, world.now).actions).toEqual([]);
});

test("a volume whose claim took another is free again, a user's wish stays", () => {
  const spec = { claimRef: { ...REF, uid: "uid-c" } };
  const ours = { "pv.kubernetes.io/bound-by-controller": "yes" };
  const [freed] = plan({ volume: volume(spec, ours), claim: claim("other") }, world.now).actions;
  expect(freed).toMatchObject({ body: { spec: { claimRef: null } } });
  const [kept] = plan({ volume: volume(spec), claim: claim("other") }, world.now).actions;
  expect(kept).toMatchObject({ body: { spec: { claimRef: { uid: null } } } });
});

test("that a claim is gone is asked for before the volume is released", async () => {
  world.remove(persistentVolumeClaims, "x/c");
  volume({ claimRef: { ...REF, uid: "uid-c" } });
  const state = controller.read("v", { caches: world.caches, now: 0, random: () => 0 });
  const live = claim("v");
  const client = { get: async () => live };
  const sure = state && (await controller.confirm?.(state, client as never));
  expect(sure?.claim).toBe(live);
});
