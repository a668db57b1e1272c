import {
  ageColumn,
  containerColumns,
  nameColumn,
  selectorOrNone,
} from "#resources/columns/text.ts";
import { defaultTemplate } from "#resources/defaults/podspec.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedTemplateFields } from "#resources/podfields.ts";
import type { ReplicaSet, ReplicaSetSpec } from "#resources/types.gen.ts";
import { validateReplicaSet } from "#resources/validate/apps.ts";
import { workloadWarnings } from "#resources/warnings/workloads.ts";

export const replicaSets = defineKind<ReplicaSet>({
  group: "apps",
  version: "v1",
  kind: "ReplicaSet",
  plural: "replicasets",
  namespaced: true,
  schema: "io.k8s.api.apps.v1.ReplicaSet",
  shortNames: ["rs"],
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
    { name: "Desired", type: "integer", cell: ({ spec }) => spec?.replicas ?? 0 },
    { name: "Current", type: "integer", cell: ({ status }) => status?.replicas ?? 0 },
    { name: "Ready", type: "integer", cell: ({ status }) => status?.readyReplicas ?? 0 },
    ageColumn,
    ...containerColumns<ReplicaSet>(({ spec }) => spec?.template),
    { name: "Selector", priority: 1, cell: ({ spec }) => selectorOrNone(spec?.selector) },
  ],
  defaults: (set) => {
    set.spec ??= {} as ReplicaSetSpec;
    set.spec.replicas ??= 1;
    defaultTemplate(set.spec);
  },
  prepare: (set, old) => {
    dropUnservedTemplateFields(set, old);
    if (!old) set.status = { replicas: 0 };
  },
  fields: ({ status }) => ({ "status.replicas": String(status?.replicas ?? 0) }),
  validate: validateReplicaSet,
  warnings: workloadWarnings,
});
