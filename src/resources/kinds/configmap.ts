import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { ConfigMap } from "#resources/types.gen.ts";
import { validateConfigMap } from "#resources/validate/data.ts";

export const configMaps = defineKind<ConfigMap>({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespaced: true,
  schema: "io.k8s.api.core.v1.ConfigMap",
  shortNames: ["cm"],
  columns: [
    nameColumn,
    {
      name: "Data",
      cell: ({ data = {}, binaryData = {} }) =>
        Object.keys(data).length + Object.keys(binaryData).length,
    },
    ageColumn,
  ],
  validate: validateConfigMap,
});
