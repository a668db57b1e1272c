import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { CSINode } from "#resources/types.gen.ts";
import { validateCsiNode } from "#resources/validate/storage.ts";

export const csiNodes = defineKind<CSINode>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSINode",
  plural: "csinodes",
  namespaced: false,
  schema: "io.k8s.api.storage.v1.CSINode",
  columns: [
    nameColumn,
    { name: "Drivers", type: "integer", cell: ({ spec }) => (spec?.drivers ?? []).length },
    ageColumn,
  ],
  validate: validateCsiNode,
});
