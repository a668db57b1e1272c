import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import { defineKind } from "#resources/kind.ts";
import type { ResourceQuota } from "#resources/types.gen.ts";
import { validateQuota } from "#resources/validate/quota.ts";

function usage(quota: ResourceQuota, limits: boolean): string {
  return Object.entries(quota.status?.hard ?? {})
    .filter(([name]) => name.startsWith("limits.") === limits)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, hard]) => `${name}: ${quota.status?.used?.[name] ?? "0"}/${hard}`)
    .join(", ");
}

export const resourceQuotas = defineKind<ResourceQuota>({
  group: "",
  version: "v1",
  kind: "ResourceQuota",
  plural: "resourcequotas",
  namespaced: true,
  schema: "io.k8s.api.core.v1.ResourceQuota",
  shortNames: ["quota"],
  subresources: { status: true },
  columns: [
    nameColumn,
    { name: "Request", cell: (quota) => usage(quota, false) },
    { name: "Limit", cell: (quota) => usage(quota, true) },
    ageColumn,
  ],
  defaults: (quota) => {
    quota.spec ??= {};
    for (const list of [quota.spec.hard, quota.status?.hard, quota.status?.used]) {
      canonicalResources(list);
    }
  },
  prepare: (quota, old) => {
    if (!old) quota.status = {};
  },
  validate: validateQuota,
});
