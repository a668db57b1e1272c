import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { accessModesText, classOf, volumePhase } from "#resources/columns/volume.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import { defaultClaimSpec } from "#resources/defaults/volume.ts";
import { defineKind } from "#resources/kind.ts";
import type { PersistentVolumeClaim, PersistentVolumeClaimSpec } from "#resources/types.gen.ts";
import { validateClaim } from "#resources/validate/persistentvolume.ts";
import { claimWarnings } from "#resources/warnings/storage.ts";

/** Both names of a claim's source, and nothing that no one provides (KEP-1495). */
function sameDataSource(spec: PersistentVolumeClaimSpec, old: PersistentVolumeClaimSpec): void {
  // Sources in other namespaces are a feature that is off.
  if (spec.dataSourceRef?.namespace && !old.dataSourceRef) delete spec.dataSourceRef;
  const source = spec.dataSource;
  if (source && !spec.dataSourceRef) {
    const group = source.apiGroup ?? "";
    const known =
      (group === "" && source.kind === "PersistentVolumeClaim") ||
      (group === "snapshot.storage.k8s.io" && source.kind === "VolumeSnapshot");
    if (!known && !old.dataSource && !old.dataSourceRef) delete spec.dataSource;
    else spec.dataSourceRef = { ...source };
  } else if (!source && spec.dataSourceRef && !spec.dataSourceRef.namespace) {
    const { apiGroup, kind, name } = spec.dataSourceRef;
    spec.dataSource = apiGroup === undefined ? { kind, name } : { apiGroup, kind, name };
  }
}

export const persistentVolumeClaims = defineKind<PersistentVolumeClaim>({
  group: "",
  version: "v1",
  kind: "PersistentVolumeClaim",
  plural: "persistentvolumeclaims",
  namespaced: true,
  schema: "io.k8s.api.core.v1.PersistentVolumeClaim",
  shortNames: ["pvc"],
  subresources: { status: true },
  columns: [
    nameColumn,
    { name: "Status", cell: volumePhase },
    { name: "Volume", cell: (claim) => claim.spec?.volumeName ?? "" },
    {
      name: "Capacity",
      cell: (claim) => (claim.spec?.volumeName ? (claim.status?.capacity?.["storage"] ?? "0") : ""),
    },
    {
      name: "Access Modes",
      cell: (claim) => (claim.spec?.volumeName ? accessModesText(claim.status?.accessModes) : ""),
    },
    { name: "StorageClass", cell: (claim) => classOf(claim) },
    {
      name: "VolumeAttributesClass",
      cell: (claim) => claim.spec?.volumeAttributesClassName ?? "<unset>",
    },
    ageColumn,
    { name: "VolumeMode", priority: 1, cell: (claim) => claim.spec?.volumeMode ?? "<unset>" },
  ],
  defaults: (claim) => {
    claim.spec ??= {};
    defaultClaimSpec(claim.spec);
    canonicalResources(claim.status?.capacity);
  },
  prepare: (claim, old) => {
    if (!old) claim.status = { phase: "Pending" };
    if (claim.spec) sameDataSource(claim.spec, old?.spec ?? {});
  },
  validate: validateClaim,
  warnings: claimWarnings,
});
