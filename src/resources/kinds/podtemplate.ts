import { containerColumns, labelsText, nameColumn } from "#resources/columns/text.ts";
import { defaultTemplate } from "#resources/defaults/podspec.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedPodFields } from "#resources/podfields.ts";
import type { PodTemplate } from "#resources/types.gen.ts";
import { validatePodTemplate } from "#resources/validate/small.ts";
import { podTemplateWarnings } from "#resources/warnings/workloads.ts";

export const podTemplates = defineKind<PodTemplate>({
  group: "",
  version: "v1",
  kind: "PodTemplate",
  plural: "podtemplates",
  namespaced: true,
  schema: "io.k8s.api.core.v1.PodTemplate",
  generation: true,
  columns: [
    nameColumn,
    ...containerColumns<PodTemplate>((holder) => holder.template).map((column) => ({
      ...column,
      priority: 0 as const,
    })),
    { name: "Pod Labels", cell: (holder) => labelsText(holder.template?.metadata?.labels) },
  ],
  defaults: defaultTemplate,
  prepare: ({ template }, old) => {
    dropUnservedPodFields(template?.spec, old?.template?.spec);
  },
  validate: validatePodTemplate,
  warnings: podTemplateWarnings,
});
