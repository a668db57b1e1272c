/**
 * What nodes and pods use: answered from the nodes at once and never stored.
 * https://kubernetes.io/docs/tasks/debug/debug-cluster/resource-metrics-pipeline/
 */
import { nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { ApiObject } from "#resources/meta.ts";
import { addQuantity } from "#resources/quantity.ts";
import type { Schema } from "#resources/schema.ts";

/** Quantities by name: `cpu` in billionths of a core, `memory` as the working set. */
export type Usage = Record<"cpu" | "memory", string>;

interface Measured extends ApiObject {
  timestamp: string;
  /** How long before it the use was counted, as a Go duration. */
  window: string;
}

export interface NodeMetrics extends Measured {
  usage: Usage;
}

export interface PodMetrics extends Measured {
  containers: Array<{ name: string; usage: Usage }>;
}

const USAGE: Schema = { type: "object", additionalProperties: { type: "string" } };
const GROUP = "metrics.k8s.io";
const VERSION = "v1beta1";

const schemaOf = (kind: string, properties: Record<string, Schema>): Schema => ({
  type: "object",
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { $ref: "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" },
    timestamp: { type: "string", format: "date-time" },
    window: { type: "string" },
    ...properties,
  },
  "x-kubernetes-group-version-kind": [{ group: GROUP, version: VERSION, kind }],
});

const total = (containers: PodMetrics["containers"] | undefined, name: keyof Usage): string =>
  (containers ?? []).reduce((sum, { usage }) => addQuantity(sum, usage[name]), "0");

const readOnly = {
  group: GROUP,
  version: VERSION,
  verbsLeftOut: ["watch", "create", "update", "patch", "delete", "deletecollection"],
};

export const nodeMetrics = defineKind<NodeMetrics>({
  ...readOnly,
  kind: "NodeMetrics",
  plural: "nodes",
  namespaced: false,
  schema: schemaOf("NodeMetrics", { usage: USAGE }),
  columns: [
    nameColumn,
    { name: "CPU", cell: ({ usage }) => usage?.cpu ?? "" },
    { name: "Memory", cell: ({ usage }) => usage?.memory ?? "" },
    { name: "Window", cell: ({ window }) => window ?? "" },
  ],
});

export const podMetrics = defineKind<PodMetrics>({
  ...readOnly,
  kind: "PodMetrics",
  plural: "pods",
  namespaced: true,
  schema: schemaOf("PodMetrics", {
    containers: {
      type: "array",
      items: { type: "object", properties: { name: { type: "string" }, usage: USAGE } },
    },
  }),
  columns: [
    nameColumn,
    { name: "CPU", cell: ({ containers }) => total(containers, "cpu") },
    { name: "Memory", cell: ({ containers }) => total(containers, "memory") },
    { name: "Window", cell: ({ window }) => window ?? "" },
  ],
});
