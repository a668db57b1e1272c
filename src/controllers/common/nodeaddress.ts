/** Where traffic from outside reaches a node. */
import { conditionOf } from "#controllers/common/conditions.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node } from "#resources/types.gen.ts";

const EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers";

/** The outer address where a node has one. */
export function balancerAddress(node: Stored<Node>): string | undefined {
  if (node.metadata.labels?.[EXCLUDED] !== undefined) return undefined;
  if (node.metadata.deletionTimestamp !== undefined) return undefined;
  if (conditionOf(node.status?.conditions, "Ready")?.status !== "True") return undefined;
  const all = node.status?.addresses ?? [];
  const of = (type: string) => all.find((one) => one.type === type)?.address;
  return of("ExternalIP") ?? of("InternalIP");
}
