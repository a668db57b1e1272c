/**
 * Finds a volume for each claim, or asks a provisioner for one, and binds the two
 * (kubernetes.io/docs/concepts/storage/persistent-volumes, "Binding"). The volume is written first:
 * a claim that is bound always finds its volume bound to it.
 */
import type { Action, Plan } from "#client/controller.ts";
import { patchAction } from "#controllers/common/patch.ts";
import {
  annotation,
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  claimClass,
  PROVISIONER,
  SELECTED_NODE,
} from "#controllers/common/volumes.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  PersistentVolumeClaimStatus,
  StorageClass,
} from "#resources/types.gen.ts";
import { findVolume, isKeptFor, misfit } from "#resources/volumematch.ts";

export interface State {
  claim: Stored<PersistentVolumeClaim>;
  volumes: ReadonlyArray<Stored<PersistentVolume>>;
  /** The class that the claim names, where it is there. */
  storageClass: Stored<StorageClass> | undefined;
  /** Name of the default class, for a claim that names none. */
  defaultClass: string | undefined;
}

const BETA_PROVISIONER = "volume.beta.kubernetes.io/storage-provisioner";
const NO_PROVISIONER = "kubernetes.io/no-provisioner";

type Claim = Stored<PersistentVolumeClaim>;
type Volume = Stored<PersistentVolume>;

const note = (claim: Claim, type: "Normal" | "Warning", reason: string, message: string) =>
  ({ do: "event", about: claim, type, reason, message }) as const;

function phase(claim: Claim, status: PersistentVolumeClaimStatus): Action[] {
  const parts = { status: { ...claim.status, ...status } };
  return patchAction(persistentVolumeClaims, claim, parts, { subresource: "status" });
}

/** Both sides of a binding, each written where it is not so yet. */
function bind(claim: Claim, volume: Volume): Action[] {
  const { name, namespace = "", uid, resourceVersion } = claim.metadata;
  const ref = volume.spec?.claimRef;
  const meant = ref !== undefined;
  const claimRef = {
    ...ref,
    kind: "PersistentVolumeClaim",
    apiVersion: "v1",
    namespace,
    name,
    uid,
    ...(!ref?.resourceVersion && { resourceVersion }),
  };
  const marks = (object: Stored, more: Record<string, string>) => ({
    ...object.metadata,
    annotations: { ...object.metadata.annotations, ...more },
  });
  const volumeParts: Partial<PersistentVolume> =
    ref?.uid === uid
      ? {}
      : {
          spec: { ...volume.spec, claimRef },
          ...(!meant && { metadata: marks(volume, { [BOUND_BY_CONTROLLER]: "yes" }) }),
        };
  const chosen = claim.spec?.volumeName === volume.metadata.name;
  const byUs = chosen ? {} : { [BOUND_BY_CONTROLLER]: "yes" };
  return [
    ...patchAction(persistentVolumes, volume, volumeParts, { guarded: true }),
    ...patchAction(
      persistentVolumeClaims,
      claim,
      {
        spec: { ...claim.spec, volumeName: volume.metadata.name },
        metadata: marks(claim, { [BIND_COMPLETED]: "yes", ...byUs }),
      },
      { guarded: true },
    ),
    ...phase(claim, boundStatus(claim, volume)),
  ];
}

function boundStatus(claim: Claim, volume: Volume): PersistentVolumeClaimStatus {
  const { accessModes, capacity, volumeAttributesClassName } = volume.spec ?? {};
  // A claim that grew tells its own capacity: the node made it larger.
  const grown = claim.status?.phase === "Bound" ? claim.status.capacity : undefined;
  return {
    phase: "Bound",
    ...(accessModes && { accessModes }),
    ...((grown ?? capacity) && { capacity: grown ?? capacity ?? {} }),
    ...(volumeAttributesClassName && {
      currentVolumeAttributesClassName: volumeAttributesClassName,
    }),
  };
}

/** Asks an external provisioner; or says why the claim waits. */
function wait(state: State, delayed: boolean): Action[] {
  const { claim, storageClass } = state;
  const pending = phase(claim, { phase: "Pending" });
  if (delayed) {
    const message = "waiting for first consumer to be created before binding";
    return [...pending, note(claim, "Normal", "WaitForFirstConsumer", message)];
  }
  const name = claimClass(claim) ?? "";
  if (name === "") {
    const message = "no persistent volumes available for this claim and no storage class is set";
    return [...pending, note(claim, "Normal", "FailedBinding", message)];
  }
  if (storageClass === undefined) {
    const message = `storageclass.storage.k8s.io "${name}" not found`;
    return [...pending, note(claim, "Warning", "ProvisioningFailed", message)];
  }
  const { provisioner } = storageClass;
  if (provisioner === NO_PROVISIONER) {
    const message = "no volume plugin matched name: kubernetes.io/no-provisioner";
    return [...pending, note(claim, "Warning", "ProvisioningFailed", message)];
  }
  const annotations = {
    ...claim.metadata.annotations,
    [PROVISIONER]: provisioner,
    [BETA_PROVISIONER]: provisioner,
  };
  const message =
    `Waiting for a volume to be created either by the external provisioner '${provisioner}' ` +
    "or manually by the system administrator. If volume creation is delayed, please verify that " +
    "the provisioner is running and correctly registered.";
  return [
    ...pending,
    ...patchAction(persistentVolumeClaims, claim, { metadata: { ...claim.metadata, annotations } }),
    note(claim, "Normal", "ExternalProvisioning", message),
  ];
}

function seek(state: State): Action[] {
  const { claim, volumes, storageClass, defaultClass } = state;
  if (claimClass(claim) === undefined && defaultClass !== undefined) {
    const spec = { ...claim.spec, storageClassName: defaultClass };
    return patchAction(persistentVolumeClaims, claim, { spec }, { guarded: true });
  }
  const later = storageClass?.volumeBindingMode === "WaitForFirstConsumer";
  const delayed = later && annotation(claim, SELECTED_NODE) === undefined;
  const found = findVolume(claim, volumes, { waits: later });
  return found === undefined ? wait(state, delayed) : bind(claim, found);
}

/** The user chose the volume. */
function take(claim: Claim, volume: Volume | undefined): Action[] {
  const pending = phase(claim, { phase: "Pending" });
  if (volume === undefined) return pending;
  const { name } = volume.metadata;
  if (volume.spec?.claimRef !== undefined && !isKeptFor(volume, claim)) {
    const message = `volume "${name}" already bound to a different claim.`;
    return [...pending, note(claim, "Warning", "FailedBinding", message)];
  }
  const leaves = volume.metadata.deletionTimestamp !== undefined;
  const marked = leaves ? `the volume is marked for deletion "${name}"` : undefined;
  const free = volume.spec?.claimRef === undefined;
  const why = free ? (marked ?? misfit(volume, claim)) : undefined;
  if (why !== undefined) {
    const message = `Cannot bind to requested volume "${name}": ${why}`;
    return [...pending, note(claim, "Warning", "VolumeMismatch", message)];
  }
  return bind(claim, volume);
}

/** It was bound once: a volume that is gone or another's is lost, and is not replaced. */
function keep(claim: Claim, volume: Volume | undefined): Action[] {
  const lost = (reason: string, message: string): Action[] => {
    if (claim.status?.phase === "Lost") return [];
    return [...phase(claim, { phase: "Lost" }), note(claim, "Warning", reason, message)];
  };
  if (volume === undefined) {
    const what = claim.spec?.volumeName ? "its" : "reference to";
    const message = `Bound claim has lost ${what} PersistentVolume. Data on the volume is lost!`;
    return lost("ClaimLost", message);
  }
  if (volume.spec?.claimRef === undefined || isKeptFor(volume, claim)) return bind(claim, volume);
  return lost(
    "ClaimMisbound",
    "Two claims are bound to the same volume, this one is bound incorrectly",
  );
}

export function plan(state: State): Plan {
  const { claim, volumes } = state;
  if (claim.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const name = claim.spec?.volumeName ?? "";
  const volume = volumes.find((one) => one.metadata.name === name);
  if (annotation(claim, BIND_COMPLETED) !== undefined) return { actions: keep(claim, volume) };
  return { actions: name === "" ? seek(state) : take(claim, volume) };
}
