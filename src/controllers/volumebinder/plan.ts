/**
 * What becomes of a volume: free, bound, or left by its claim (persistent-volumes, "Reclaiming").
 */
import type { Action, Plan } from "#client/controller.ts";
import { patchAction } from "#controllers/common/patch.ts";
import { timeText } from "#controllers/common/time.ts";
import { annotation, BOUND_BY_CONTROLLER, PROVISIONED_BY } from "#controllers/common/volumes.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import type { Stored } from "#resources/meta.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#resources/types.gen.ts";

export interface State {
  volume: Stored<PersistentVolume>;
  /** The claim that the volume names, as the API has it. */
  claim: Stored<PersistentVolumeClaim> | undefined;
}

type Volume = Stored<PersistentVolume>;

function phase(volume: Volume, name: string, now: number, message?: string): Action[] {
  const same = volume.status?.phase === name;
  if (same && (volume.status?.message ?? "") === (message ?? "")) return [];
  const { message: _, reason: __, ...old } = volume.status ?? {};
  const since = same ? {} : { lastPhaseTransitionTime: timeText(now) };
  const status = { ...old, ...since, phase: name, ...(message !== undefined && { message }) };
  return patchAction(persistentVolumes, volume, { status }, { subresource: "status" });
}

function fail(volume: Volume, reason: string, message: string, now: number): Action[] {
  const told: Action = { do: "event", about: volume, type: "Warning", reason, message };
  return [...phase(volume, "Failed", now, message), told];
}

/**
 * Under Retain the data stay, whatever happens; Delete is the provisioner's, who knows where they
 * are.
 */
function released(volume: Volume, now: number): Action[] {
  if (volume.status?.phase === "Failed") return [];
  const policy = volume.spec?.persistentVolumeReclaimPolicy;
  const provisioned = annotation(volume, PROVISIONED_BY) !== undefined;
  const isExternal = provisioned || volume.spec?.csi !== undefined;
  if (policy === "Delete" && !isExternal) {
    const what = `error getting deleter volume plugin for volume "${volume.metadata.name}"`;
    const message = `${what}: no deletable volume plugin matched`;
    return fail(volume, "VolumeFailedDelete", message, now);
  }
  if (policy === "Recycle") {
    const message = "No recycler plugin found for the volume!";
    return fail(volume, "VolumeFailedRecycle", message, now);
  }
  return phase(volume, "Released", now);
}

/** The claim has taken another volume: this one is free again. */
function letGo(volume: Volume, now: number): Action[] {
  const dynamic = annotation(volume, PROVISIONED_BY) !== undefined;
  if (dynamic && volume.spec?.persistentVolumeReclaimPolicy === "Delete")
    return released(volume, now);
  const { claimRef, ...rest } = volume.spec ?? {};
  const { [BOUND_BY_CONTROLLER]: ours, ...annotations } = volume.metadata.annotations ?? {};
  if (ours !== undefined) {
    const parts = { spec: rest, metadata: { ...volume.metadata, annotations } };
    return patchAction(persistentVolumes, volume, parts, { guarded: true });
  }
  // The user's wish stays, without the claim that it once met.
  const { uid: _, resourceVersion: __, ...wish } = claimRef ?? {};
  const spec = { ...rest, claimRef: wish };
  return patchAction(persistentVolumes, volume, { spec }, { guarded: true });
}

export function plan({ volume, claim }: State, now: number): Plan {
  const ref = volume.spec?.claimRef;
  if (volume.metadata.deletionTimestamp !== undefined && !ref) return { actions: [] };
  if (!ref?.uid) return { actions: phase(volume, "Available", now) };
  if (claim === undefined || claim.metadata.uid !== ref.uid)
    return { actions: released(volume, now) };
  const chosen = claim.spec?.volumeName;
  // The claim's side is written in a moment.
  if (!chosen) return { actions: [] };
  if (chosen !== volume.metadata.name) return { actions: letGo(volume, now) };
  return { actions: phase(volume, "Bound", now) };
}
