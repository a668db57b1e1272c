/**
 * Claims that ask for more than they have (kubernetes.io/docs/concepts/storage/persistent-volumes,
 * "Expanding Persistent Volumes Claims"): the volume is told, its node makes it larger, the claim
 * tells the user.
 */
import type { Action, Plan } from "#client/controller.ts";
import { conditionOf, withCondition, withoutCondition } from "#controllers/common/conditions.ts";
import { patchAction, statusAction } from "#controllers/common/patch.ts";
import { timeText } from "#controllers/common/time.ts";
import { annotation } from "#controllers/common/volumes.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { isLocalVolume, SIZE } from "#resources/localvolume.ts";
import type { Stored } from "#resources/meta.ts";
import { compareQuantity } from "#resources/quantity.ts";
import type { PersistentVolume, PersistentVolumeClaim } from "#resources/types.gen.ts";

export interface State {
  claim: Stored<PersistentVolumeClaim>;
  volume: Stored<PersistentVolume>;
}

const PENDING = "FileSystemResizePending";

export const wanted = (claim: PersistentVolumeClaim): string =>
  claim.spec?.resources?.requests?.["storage"] ?? "0";

const has = (claim: PersistentVolumeClaim): string => claim.status?.capacity?.["storage"] ?? "0";

export const isSmall = (claim: PersistentVolumeClaim): boolean =>
  claim.status?.phase === "Bound" && compareQuantity(wanted(claim), has(claim)) > 0;

function tell(claim: State["claim"], reason: string, message: string, warns = false): Action {
  return { do: "event", about: claim, type: warns ? "Warning" : "Normal", reason, message };
}

function growVolume({ claim, volume }: State): Action[] {
  const capacity = { ...volume.spec?.capacity, storage: wanted(claim) };
  const parts = { spec: { ...volume.spec, capacity } };
  return patchAction(persistentVolumes, volume, parts, { guarded: true });
}

function pending(claim: State["claim"], now: number): Action[] {
  const { status = {} } = claim;
  if (conditionOf(status.conditions, PENDING)?.status === "True") return [];
  const message = "Waiting for the node to make the volume's file system larger.";
  const conditions = withCondition(status.conditions, {
    type: PENDING,
    status: "True",
    message,
    lastTransitionTime: timeText(now),
  });
  return [
    ...statusAction(persistentVolumeClaims, claim, { ...status, conditions }),
    tell(claim, PENDING, message),
  ];
}

function grown(claim: State["claim"], size: string): Action[] {
  const { status = {} } = claim;
  const conditions = withoutCondition(status.conditions, PENDING);
  const capacity = { ...status.capacity, storage: size };
  return [
    ...statusAction(persistentVolumeClaims, claim, { ...status, capacity, conditions }),
    tell(claim, "FileSystemResizeSuccessful", "MountVolume.NodeExpandVolume succeeded"),
  ];
}

export function plan({ claim, volume }: State, now: number): Plan {
  if (!isSmall(claim) || claim.metadata.deletionTimestamp !== undefined) return { actions: [] };
  if (!isLocalVolume(volume)) {
    const message =
      "Ignoring the PVC: didn't find a plugin capable of expanding the volume; waiting for an " +
      "external controller to process this PVC.";
    return { actions: [tell(claim, "ExternalExpanding", message, true)] };
  }
  const size = wanted(claim);
  if (compareQuantity(volume.spec?.capacity?.["storage"] ?? "0", size) < 0) {
    return { actions: growVolume({ claim, volume }) };
  }
  if (compareQuantity(annotation(volume, SIZE) ?? "0", size) < 0) {
    return { actions: pending(claim, now) };
  }
  return { actions: grown(claim, annotation(volume, SIZE) ?? size) };
}
