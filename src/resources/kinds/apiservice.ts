import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { APIService } from "#resources/types.gen.ts";
import { validateApiService } from "#resources/validate/apiservice.ts";

const LOCAL = {
  type: "Available",
  status: "True",
  reason: "Local",
  message: "Local APIServices are always available",
};

function availableText({ status }: APIService): string {
  const available = status?.conditions?.find((condition) => condition.type === "Available");
  if (!available) return "Unknown";
  if (available.status === "True" || !available.reason) return available.status;
  return `${available.status} (${available.reason})`;
}

export const apiServices = defineKind<APIService>({
  group: "apiregistration.k8s.io",
  version: "v1",
  kind: "APIService",
  plural: "apiservices",
  namespaced: false,
  schema: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
  categories: ["api-extensions"],
  subresources: { status: true },
  nameRule: "path",
  columns: [
    nameColumn,
    {
      name: "Service",
      cell: ({ spec }) =>
        spec?.service ? `${spec.service.namespace ?? ""}/${spec.service.name ?? ""}` : "Local",
    },
    { name: "Available", cell: availableText },
    ageColumn,
  ],
  defaults: ({ spec }) => {
    if (spec?.service) spec.service.port ??= 443;
  },
  prepare: (apiService, old) => {
    if (old) return;
    apiService.status = {};
    if (!apiService.spec?.service) apiService.status.conditions = [{ ...LOCAL }];
  },
  validate: validateApiService,
});
