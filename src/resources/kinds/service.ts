import { serviceColumns } from "#resources/columns/service.ts";
import { defaultService, dropForType } from "#resources/defaults/service.ts";
import { defineKind } from "#resources/kind.ts";
import { claimsOf } from "#resources/servicepools.ts";
import type { Service } from "#resources/types.gen.ts";
import { validateService } from "#resources/validate/service.ts";
import { serviceWarnings } from "#resources/warnings/network.ts";

export const services = defineKind<Service>({
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  namespaced: true,
  schema: "io.k8s.api.core.v1.Service",
  shortNames: ["svc"],
  categories: ["all"],
  subresources: { status: true },
  nameRule: "label1035",
  columns: serviceColumns,
  defaults: defaultService,
  prepare: (service, old) => {
    if (!old) service.status = { loadBalancer: {} };
    else dropForType(service, old);
  },
  claims: claimsOf,
  fields: (service) => ({
    "spec.clusterIP": service.spec?.clusterIP ?? "",
    "spec.type": service.spec?.type ?? "",
  }),
  validate: validateService,
  warnings: serviceWarnings,
});
