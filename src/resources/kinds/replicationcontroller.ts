import { ageColumn, containerColumns, labelsText, nameColumn } from "#resources/columns/text.ts";
import { defaultTemplate } from "#resources/defaults/podspec.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedTemplateFields } from "#resources/podfields.ts";
import type { ReplicationController } from "#resources/types.gen.ts";
import { validateReplicationController } from "#resources/validate/small.ts";
import { workloadWarnings } from "#resources/warnings/workloads.ts";

const isEmpty = (map: object | undefined): boolean => Object.keys(map ?? {}).length === 0;

export const replicationControllers = defineKind<ReplicationController>({
  group: "",
  version: "v1",
  kind: "ReplicationController",
  plural: "replicationcontrollers",
  namespaced: true,
  schema: "io.k8s.api.core.v1.ReplicationController",
  shortNames: ["rc"],
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
    { name: "Desired", type: "integer", cell: (controller) => controller.spec?.replicas ?? 0 },
    { name: "Current", type: "integer", cell: (controller) => controller.status?.replicas ?? 0 },
    {
      name: "Ready",
      type: "integer",
      cell: (controller) => controller.status?.readyReplicas ?? 0,
    },
    ageColumn,
    ...containerColumns<ReplicationController>((controller) => controller.spec?.template),
    {
      name: "Selector",
      priority: 1,
      cell: (controller) => labelsText(controller.spec?.selector),
    },
  ],
  defaults: (controller) => {
    controller.spec ??= {};
    const { spec } = controller;
    spec.replicas ??= 1;
    if (!spec.template) return;
    defaultTemplate(spec);
    const labels = spec.template.metadata?.labels;
    if (!labels) return;
    if (isEmpty(spec.selector)) spec.selector = { ...labels };
    controller.metadata ??= {};
    const { metadata } = controller;
    if (isEmpty(metadata.labels)) metadata.labels = { ...labels };
  },
  prepare: (controller, old) => {
    dropUnservedTemplateFields(controller, old);
    if (!old) controller.status = { replicas: 0 };
  },
  fields: (controller) => ({ "status.replicas": String(controller.status?.replicas ?? 0) }),
  validate: validateReplicationController,
  warnings: workloadWarnings,
});
