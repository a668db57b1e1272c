import { ageColumn, containerColumns, nameColumn } from "#resources/columns/text.ts";
import { defaultTemplate } from "#resources/defaults/podspec.ts";
import { defaultClaimSpec } from "#resources/defaults/volume.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedTemplateFields } from "#resources/podfields.ts";
import type { PersistentVolumeClaim, StatefulSet, StatefulSetSpec } from "#resources/types.gen.ts";
import { validateStatefulSet } from "#resources/validate/statefulset.ts";
import { statefulSetWarnings } from "#resources/warnings/workloads.ts";

function defaultStrategy(spec: StatefulSetSpec): void {
  spec.updateStrategy ??= {};
  const { updateStrategy } = spec;
  if (!updateStrategy.type) {
    updateStrategy.type = "RollingUpdate";
    updateStrategy.rollingUpdate ??= {};
  }
  // An explicit RollingUpdate without parameters stays without them, as upstream.
  if (updateStrategy.type === "RollingUpdate" && updateStrategy.rollingUpdate) {
    updateStrategy.rollingUpdate.partition ??= 0;
  }
}

function defaultClaim(claim: PersistentVolumeClaim): void {
  claim.apiVersion = "v1";
  claim.kind = "PersistentVolumeClaim";
  claim.spec ??= {};
  defaultClaimSpec(claim.spec);
  claim.status ??= {};
  claim.status.phase ||= "Pending";
}

export const statefulSets = defineKind<StatefulSet>({
  group: "apps",
  version: "v1",
  kind: "StatefulSet",
  plural: "statefulsets",
  namespaced: true,
  schema: "io.k8s.api.apps.v1.StatefulSet",
  shortNames: ["sts"],
  nameRule: "label",
  categories: ["all"],
  subresources: {
    status: true,
    scale: {
      specReplicas: ".spec.replicas",
      statusReplicas: ".status.replicas",
      selector: ".spec.selector",
    },
  },
  generation: true,
  columns: [
    nameColumn,
    {
      name: "Ready",
      cell: ({ spec, status }) => `${status?.readyReplicas ?? 0}/${spec?.replicas ?? 0}`,
    },
    ageColumn,
    ...containerColumns<StatefulSet>(({ spec }) => spec?.template),
  ],
  defaults: (set) => {
    set.spec ??= {} as StatefulSetSpec;
    const { spec } = set;
    spec.podManagementPolicy ||= "OrderedReady";
    defaultStrategy(spec);
    spec.persistentVolumeClaimRetentionPolicy ??= {};
    spec.persistentVolumeClaimRetentionPolicy.whenDeleted ||= "Retain";
    spec.persistentVolumeClaimRetentionPolicy.whenScaled ||= "Retain";
    spec.replicas ??= 1;
    spec.revisionHistoryLimit ??= 10;
    defaultTemplate(spec);
    for (const claim of spec.volumeClaimTemplates ?? []) defaultClaim(claim);
  },
  prepare: (set, old) => {
    dropUnservedTemplateFields(set, old);
    if (!old) set.status = { replicas: 0, availableReplicas: 0 };
  },
  validate: validateStatefulSet,
  warnings: statefulSetWarnings,
});
