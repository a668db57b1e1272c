/** Wishes about other pods, of the new pod and of those that run already. */
import type { Affinity, PodAffinityTerm, WeightedPodAffinityTerm } from "#resources/types.gen.ts";
import type { PodFacts } from "#scheduler/facts.ts";
import type { NodeState } from "#scheduler/node.ts";
import { countByNode, termMatch } from "#scheduler/selectors.ts";
import type { ClusterState } from "#scheduler/state.ts";

/** Weight of a running pod's required affinity to the new one (hardPodAffinityWeight upstream). */
const REQUIRED_WEIGHT = 1;

interface Wish {
  term: PodAffinityTerm;
  weight: number;
}

const weighed = (wishes: readonly WeightedPodAffinityTerm[] | undefined, sign: 1 | -1): Wish[] =>
  (wishes ?? []).map(({ podAffinityTerm: term, weight }) => ({ term, weight: sign * weight }));

const wishesOf = (affinity: Affinity | undefined): Wish[] => [
  ...weighed(affinity?.podAffinity?.preferredDuringSchedulingIgnoredDuringExecution, 1),
  ...weighed(affinity?.podAntiAffinity?.preferredDuringSchedulingIgnoredDuringExecution, -1),
];

/** Topology key -> value -> sum of weights. */
class Sums {
  readonly byKey = new Map<string, Map<string, number>>();

  add(key: string, node: NodeState | undefined, weight: number): void {
    const value = node?.node === undefined ? undefined : node.labels[key];
    if (value === undefined) return;
    const values = this.byKey.get(key) ?? new Map<string, number>();
    this.byKey.set(key, values);
    values.set(value, (values.get(value) ?? 0) + weight);
  }
}

export function preferredPods(
  pod: PodFacts,
  cluster: ClusterState,
): ((node: NodeState) => number) | undefined {
  const sums = new Sums();
  for (const { term, weight } of wishesOf(pod.pod.spec?.affinity)) {
    for (const [name, count] of countByNode(cluster, termMatch(term, pod, cluster))) {
      sums.add(term.topologyKey, cluster.nodes.get(name), weight * count);
    }
  }
  for (const kin of cluster.kins.withAffinity) {
    const required = kin.affinity?.podAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    const theirs = [
      ...(required ?? []).map((term) => ({ term, weight: REQUIRED_WEIGHT })),
      ...wishesOf(kin.affinity),
    ];
    for (const { term, weight } of theirs) {
      if (!termMatch(term, kin, cluster)(pod)) continue;
      for (const counts of [kin.staying, kin.leaving]) {
        for (const [name, count] of counts) {
          sums.add(term.topologyKey, cluster.nodes.get(name), weight * count);
        }
      }
    }
  }
  if (sums.byKey.size === 0) return undefined;
  return ({ labels }) => {
    let sum = 0;
    for (const [key, values] of sums.byKey) sum += values.get(labels[key] ?? "") ?? 0;
    return sum;
  };
}
