import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { ServiceCIDR } from "#resources/types.gen.ts";
import { validateServiceCidr } from "#resources/validate/network.ts";

export const serviceCidrs = defineKind<ServiceCIDR>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "ServiceCIDR",
  plural: "servicecidrs",
  namespaced: false,
  schema: "io.k8s.api.networking.v1.ServiceCIDR",
  subresources: { status: true },
  columns: [
    nameColumn,
    { name: "CIDRs", cell: ({ spec }) => (spec?.cidrs ?? []).join(",") },
    ageColumn,
  ],
  validate: validateServiceCidr,
});
