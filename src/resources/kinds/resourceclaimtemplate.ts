import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defaultDevices } from "#resources/defaults/devices.ts";
import { dropUnservedClaimFields } from "#resources/devicefields.ts";
import { defineKind } from "#resources/kind.ts";
import type { ResourceClaimTemplate } from "#resources/types.gen.ts";
import { validateClaimTemplate } from "#resources/validate/devices.ts";

export const resourceClaimTemplates = defineKind<ResourceClaimTemplate>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceClaimTemplate",
  plural: "resourceclaimtemplates",
  namespaced: true,
  schema: "io.k8s.api.resource.v1.ResourceClaimTemplate",
  columns: [nameColumn, ageColumn],
  defaults: ({ spec }) => defaultDevices(spec?.spec?.devices),
  prepare: ({ spec }, old) => {
    dropUnservedClaimFields(spec?.spec?.devices, old?.spec?.spec?.devices);
  },
  validate: validateClaimTemplate,
});
