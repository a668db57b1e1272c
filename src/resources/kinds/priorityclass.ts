import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { PriorityClass } from "#resources/types.gen.ts";
import { validatePriorityClass } from "#resources/validate/small.ts";

export const priorityClasses = defineKind<PriorityClass>({
  group: "scheduling.k8s.io",
  version: "v1",
  kind: "PriorityClass",
  plural: "priorityclasses",
  namespaced: false,
  schema: "io.k8s.api.scheduling.v1.PriorityClass",
  shortNames: ["pc"],
  generation: true,
  columns: [
    nameColumn,
    { name: "Value", type: "integer", cell: (priority) => priority.value ?? 0 },
    {
      name: "Global-Default",
      type: "boolean",
      cell: (priority) => priority.globalDefault ?? false,
    },
    ageColumn,
    { name: "PreemptionPolicy", cell: (priority) => priority.preemptionPolicy ?? "" },
  ],
  defaults: (priority) => {
    priority.preemptionPolicy ??= "PreemptLowerPriority";
  },
  validate: validatePriorityClass,
});
