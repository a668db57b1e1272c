import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { FlowSchema } from "#resources/types.gen.ts";
import { validateFlowSchema } from "#resources/validate/flowcontrol.ts";

export const flowSchemas = defineKind<FlowSchema>({
  group: "flowcontrol.apiserver.k8s.io",
  version: "v1",
  kind: "FlowSchema",
  plural: "flowschemas",
  namespaced: false,
  schema: "io.k8s.api.flowcontrol.v1.FlowSchema",
  subresources: { status: true },
  generation: true,
  columns: [
    nameColumn,
    { name: "PriorityLevel", cell: ({ spec }) => spec?.priorityLevelConfiguration?.name ?? "" },
    { name: "MatchingPrecedence", cell: ({ spec }) => spec?.matchingPrecedence ?? 0 },
    {
      name: "DistinguisherMethod",
      cell: ({ spec }) => spec?.distinguisherMethod?.type ?? "<none>",
    },
    ageColumn,
    {
      name: "MissingPL",
      cell: ({ status }) =>
        status?.conditions?.find((condition) => condition.type === "Dangling")?.status ?? "?",
    },
  ],
  defaults: (flow) => {
    flow.spec ??= { priorityLevelConfiguration: { name: "" } };
    flow.spec.matchingPrecedence ||= 1000;
  },
  prepare: (flow, old) => {
    if (!old) flow.status = {};
  },
  validate: validateFlowSchema,
});
