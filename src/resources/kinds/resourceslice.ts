import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { dropUnservedSliceFields } from "#resources/devicefields.ts";
import { defineKind } from "#resources/kind.ts";
import type { ResourceSlice } from "#resources/types.gen.ts";
import { validateResourceSlice } from "#resources/validate/deviceslice.ts";

export const resourceSlices = defineKind<ResourceSlice>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceSlice",
  plural: "resourceslices",
  namespaced: false,
  schema: "io.k8s.api.resource.v1.ResourceSlice",
  generation: true,
  columns: [
    nameColumn,
    { name: "Node", cell: ({ spec }) => spec?.nodeName ?? "" },
    { name: "Driver", cell: ({ spec }) => spec?.driver ?? "" },
    { name: "Pool", cell: ({ spec }) => spec?.pool?.name ?? "" },
    ageColumn,
  ],
  defaults: ({ spec }) => {
    for (const { capacity } of spec?.devices ?? []) {
      for (const each of Object.values(capacity ?? {})) each.value ??= "0";
    }
  },
  prepare: ({ spec }, old) => dropUnservedSliceFields(spec, old?.spec),
  fields: ({ spec }) => ({
    "spec.nodeName": spec?.nodeName ?? "",
    "spec.driver": spec?.driver ?? "",
  }),
  validate: validateResourceSlice,
});
