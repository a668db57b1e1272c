import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { accessModesText, classOf, volumePhase } from "#resources/columns/volume.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import { defaultVendor } from "#resources/defaults/volume.ts";
import { defineKind } from "#resources/kind.ts";
import type { PersistentVolume } from "#resources/types.gen.ts";
import { validatePersistentVolume } from "#resources/validate/persistentvolume.ts";
import { volumeWarnings } from "#resources/warnings/storage.ts";

function claimText(volume: PersistentVolume): string {
  const claim = volume.spec?.claimRef;
  return claim ? `${claim.namespace ?? ""}/${claim.name ?? ""}` : "";
}

export const persistentVolumes = defineKind<PersistentVolume>({
  group: "",
  version: "v1",
  kind: "PersistentVolume",
  plural: "persistentvolumes",
  namespaced: false,
  schema: "io.k8s.api.core.v1.PersistentVolume",
  shortNames: ["pv"],
  subresources: { status: true },
  columns: [
    nameColumn,
    { name: "Capacity", cell: (volume) => volume.spec?.capacity?.["storage"] ?? "0" },
    { name: "Access Modes", cell: (volume) => accessModesText(volume.spec?.accessModes) },
    {
      name: "Reclaim Policy",
      cell: (volume) => volume.spec?.persistentVolumeReclaimPolicy ?? "",
    },
    { name: "Status", cell: volumePhase },
    { name: "Claim", cell: claimText },
    { name: "StorageClass", cell: (volume) => classOf(volume) },
    {
      name: "VolumeAttributesClass",
      cell: (volume) => volume.spec?.volumeAttributesClassName ?? "<unset>",
    },
    { name: "Reason", cell: (volume) => volume.status?.reason ?? "" },
    ageColumn,
    { name: "VolumeMode", priority: 1, cell: (volume) => volume.spec?.volumeMode ?? "<unset>" },
  ],
  defaults: (volume) => {
    volume.spec ??= {};
    const { spec } = volume;
    spec.persistentVolumeReclaimPolicy ||= "Retain";
    spec.volumeMode ??= "Filesystem";
    canonicalResources(spec.capacity);
    if (spec.hostPath) spec.hostPath.type ??= "";
    defaultVendor(spec);
  },
  prepare: (volume, old) => {
    if (old) return;
    const made = volume.metadata?.creationTimestamp;
    volume.status = { phase: "Pending", ...(made && { lastPhaseTransitionTime: made }) };
  },
  validate: validatePersistentVolume,
  warnings: volumeWarnings,
});
