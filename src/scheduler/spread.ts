/**
 * Topology spread: constraints that must hold (DoNotSchedule) and those that are wishes
 * (ScheduleAnyway) (kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints).
 */
import { selectsNode, untolerated } from "#resources/nodeselector.ts";
import type { TopologySpreadConstraint } from "#resources/types.gen.ts";
import type { PodFacts } from "#scheduler/facts.ts";
import type { NodeTest, Refusal } from "#scheduler/filters.ts";
import type { NodeState } from "#scheduler/node.ts";
import { countByNode, type KinMatch, selectorOf } from "#scheduler/selectors.ts";
import type { ClusterState } from "#scheduler/state.ts";

const because = (reason: string, final: boolean): Refusal => ({ reasons: [reason], final });
const SKEWED = because("node(s) didn't match pod topology spread constraints", false);
const NO_LABEL = because(
  "node(s) didn't match pod topology spread constraints (missing required label)",
  true,
);

/** Whether a node's pods count at all (KEP-3094). */
export function includes(
  constraint: TopologySpreadConstraint,
  { pod }: PodFacts,
  node: NodeState,
): boolean {
  const honorsAffinity = (constraint.nodeAffinityPolicy ?? "Honor") === "Honor";
  if (honorsAffinity && node.node !== undefined && !selectsNode(pod, node.node)) return false;
  if (constraint.nodeTaintsPolicy !== "Honor") return true;
  const tolerations = pod.spec?.tolerations ?? [];
  return untolerated(node.taints, tolerations, ["NoSchedule", "NoExecute"]) === undefined;
}

/** Pods of the namespace that the constraint counts. */
export function spreadMatch(constraint: TopologySpreadConstraint, pod: PodFacts): KinMatch {
  const { labelSelector, matchLabelKeys } = constraint;
  const labels = selectorOf(labelSelector, pod.labels, { match: matchLabelKeys });
  return (kin) => kin.namespace === pod.namespace && labels(kin.labels);
}

export const hasKeys = (
  node: NodeState,
  constraints: readonly TopologySpreadConstraint[],
): boolean => constraints.every(({ topologyKey }) => node.labels[topologyKey] !== undefined);

interface Spread {
  readonly key: string;
  /** Matching pods by the value of the topology key. */
  readonly counts: ReadonlyMap<string, number>;
  readonly min: number;
  /** 1 when the pod matches its own constraint. */
  readonly self: number;
  readonly maxSkew: number;
}

function spreadOf(
  constraint: TopologySpreadConstraint,
  pod: PodFacts,
  cluster: ClusterState,
  nodes: readonly NodeState[],
): Spread {
  const { topologyKey: key, minDomains = 1, maxSkew } = constraint;
  const matches = spreadMatch(constraint, pod);
  const onNodes = countByNode(cluster, matches, { staying: true });
  const counts = new Map<string, number>();
  for (const node of nodes) {
    if (!includes(constraint, pod, node)) continue;
    const value = node.labels[key] ?? "";
    counts.set(value, (counts.get(value) ?? 0) + (onNodes.get(node.name) ?? 0));
  }
  const enough = counts.size > 0 && counts.size >= minDomains;
  const min = enough ? Math.min(...counts.values()) : 0;
  return { key, counts, min, self: matches(pod) ? 1 : 0, maxSkew };
}

export function topologySpread(pod: PodFacts, cluster: ClusterState): NodeTest | undefined {
  const hard = (pod.pod.spec?.topologySpreadConstraints ?? []).filter(
    ({ whenUnsatisfiable }) => whenUnsatisfiable === "DoNotSchedule",
  );
  if (hard.length === 0) return undefined;
  const nodes = cluster.live().filter((node) => hasKeys(node, hard));
  const spreads = hard.map((constraint) => spreadOf(constraint, pod, cluster, nodes));
  return ({ labels }) => {
    for (const { key, counts, min, self, maxSkew } of spreads) {
      const value = labels[key];
      if (value === undefined) return NO_LABEL;
      if ((counts.get(value) ?? 0) + self - min > maxSkew) return SKEWED;
    }
    return undefined;
  };
}
