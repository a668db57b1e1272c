import { nodeColumns } from "#resources/columns/node.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import { defineKind } from "#resources/kind.ts";
import type { Node, NodeSpec } from "#resources/types.gen.ts";
import { dropUnlessUsed } from "#resources/unserved.ts";
import { validateNode } from "#resources/validate/node.ts";
import { nodeWarnings } from "#resources/warnings/others.ts";

/** The older field has the first of the newer one; where they differ, the older one counts. */
function bothCidrs(spec: NodeSpec): void {
  const { podCIDR, podCIDRs: [first] = [] } = spec;
  if (podCIDR && podCIDR !== first) spec.podCIDRs = [podCIDR];
  else if (first) spec.podCIDR = first;
}

export const nodes = defineKind<Node>({
  group: "",
  version: "v1",
  kind: "Node",
  plural: "nodes",
  namespaced: false,
  schema: "io.k8s.api.core.v1.Node",
  shortNames: ["no"],
  subresources: { status: true },
  columns: nodeColumns,
  defaults: (node) => {
    const { spec, status } = node;
    if (spec) bothCidrs(spec);
    canonicalResources(status?.capacity);
    if (status?.capacity && Object.keys(status.allocatable ?? {}).length === 0) {
      status.allocatable = { ...status.capacity };
    }
    canonicalResources(status?.allocatable);
  },
  fields: (node) => ({ "spec.unschedulable": String(node.spec?.unschedulable ?? false) }),
  prepare: (node, old) => {
    dropUnlessUsed(node.spec, old?.spec, "configSource");
    dropUnlessUsed(node.status, old?.status, "config");
  },
  validate: validateNode,
  warnings: nodeWarnings,
});
