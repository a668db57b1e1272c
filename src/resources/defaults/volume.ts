/** Defaults of a pod's volumes (Kubernetes API reference, Volume v1). */
import { defaultFieldRefs } from "#resources/defaults/container.ts";
import { defaultPullPolicy } from "#resources/defaults/image.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import type {
  AzureDiskVolumeSource,
  PersistentVolumeClaimSpec,
  PersistentVolumeSpec,
  ProjectedVolumeSource,
  Volume,
} from "#resources/types.gen.ts";

const MODE = 0o644;
const TOKEN_SECONDS = 3600;

export function defaultClaimSpec(spec: PersistentVolumeClaimSpec): void {
  spec.volumeMode ??= "Filesystem";
  spec.resources ??= {};
  canonicalResources(spec.resources.limits);
  canonicalResources(spec.resources.requests);
}

function defaultAzureDisk(disk: AzureDiskVolumeSource | undefined): void {
  if (!disk) return;
  disk.cachingMode ??= "ReadWrite";
  disk.fsType ??= "ext4";
  disk.readOnly ??= false;
  disk.kind ??= "Shared";
}

function defaultProjected(projected: ProjectedVolumeSource): void {
  projected.defaultMode ??= MODE;
  for (const source of projected.sources ?? []) {
    for (const item of source.downwardAPI?.items ?? []) defaultFieldRefs(item);
    if (source.serviceAccountToken) source.serviceAccountToken.expirationSeconds ??= TOKEN_SECONDS;
  }
}

/** Sources that are kept for old clients and have defaults nonetheless. */
export function defaultVendor(
  volume: Pick<Volume | PersistentVolumeSpec, "azureDisk" | "iscsi" | "rbd" | "scaleIO">,
): void {
  if (volume.iscsi) volume.iscsi.iscsiInterface ||= "default";
  if (volume.rbd) {
    volume.rbd.pool ||= "rbd";
    volume.rbd.user ||= "admin";
    volume.rbd.keyring ||= "/etc/ceph/keyring";
  }
  if (volume.scaleIO) {
    volume.scaleIO.storageMode ||= "ThinProvisioned";
    volume.scaleIO.fsType ||= "xfs";
  }
  defaultAzureDisk(volume.azureDisk);
}

export function defaultVolume(volume: Volume): void {
  const { name: _, ...sources } = volume;
  // null and undefined alike are no source.
  if (Object.values(sources).every((source) => !source)) volume.emptyDir = {};
  if (volume.image) volume.image.pullPolicy ||= defaultPullPolicy(volume.image.reference ?? "");
  if (volume.hostPath) volume.hostPath.type ??= "";
  if (volume.secret) volume.secret.defaultMode ??= MODE;
  if (volume.configMap) volume.configMap.defaultMode ??= MODE;
  if (volume.downwardAPI) {
    volume.downwardAPI.defaultMode ??= MODE;
    for (const item of volume.downwardAPI.items ?? []) defaultFieldRefs(item);
  }
  if (volume.projected) defaultProjected(volume.projected);
  const claim = volume.ephemeral?.volumeClaimTemplate;
  if (claim) {
    claim.spec ??= {};
    defaultClaimSpec(claim.spec);
  }
  defaultVendor(volume);
}
