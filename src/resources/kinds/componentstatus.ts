import { nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { ComponentStatus } from "#resources/types.gen.ts";

const healthy = (component: ComponentStatus) =>
  component.conditions?.find((condition) => condition.type === "Healthy");

export const componentStatuses = defineKind<ComponentStatus>({
  group: "",
  version: "v1",
  kind: "ComponentStatus",
  plural: "componentstatuses",
  namespaced: false,
  schema: "io.k8s.api.core.v1.ComponentStatus",
  shortNames: ["cs"],
  deprecation: "v1 ComponentStatus is deprecated in v1.19+",
  verbsLeftOut: ["create", "update", "patch", "delete", "deletecollection", "watch"],
  columns: [
    nameColumn,
    {
      name: "Status",
      cell: (component) => {
        const status = healthy(component)?.status;
        return status === undefined ? "Unknown" : status === "True" ? "Healthy" : "Unhealthy";
      },
    },
    { name: "Message", cell: (component) => healthy(component)?.message ?? "" },
    { name: "Error", cell: (component) => healthy(component)?.error ?? "" },
  ],
});
