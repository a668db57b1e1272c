/**
 * Wishes about spreading: ScheduleAnyway constraints, or where a pod names none, spread over nodes
 * and zones among the pods of one controller.
 */

import { controllerOf } from "#resources/meta.ts";
import type { TopologySpreadConstraint } from "#resources/types.gen.ts";
import type { PodFacts } from "#scheduler/facts.ts";
import type { NodeState } from "#scheduler/node.ts";
import { countByNode } from "#scheduler/selectors.ts";
import { hasKeys, includes, spreadMatch } from "#scheduler/spread.ts";
import type { ClusterState } from "#scheduler/state.ts";

const SCORE_MAX = 100;
const HOSTNAME = "kubernetes.io/hostname";
const ZONE = "topology.kubernetes.io/zone";

/** One constraint's part of the raw score: matching pods, weighed by the number of domains. */
type Part = (node: NodeState) => number;

interface Wish {
  readonly key: string;
  readonly maxSkew: number;
  readonly onNodes: ReadonlyMap<string, number>;
  counts(node: NodeState): boolean;
}

function partOf(wish: Wish, cluster: ClusterState, nodes: readonly NodeState[]): Part {
  const { key, maxSkew, onNodes } = wish;
  const add = maxSkew - 1;
  if (key === HOSTNAME) {
    const weight = Math.log(nodes.length + 2);
    return (node) => (onNodes.get(node.name) ?? 0) * weight + add;
  }
  const domains = new Map<string, number>();
  for (const { labels } of nodes) if (labels[key] !== undefined) domains.set(labels[key], 0);
  for (const [name, count] of onNodes) {
    const node = cluster.nodes.get(name);
    const value = node?.labels[key];
    if (node === undefined || value === undefined || !wish.counts(node)) continue;
    const known = domains.get(value);
    if (known !== undefined) domains.set(value, known + count);
  }
  const weight = Math.log(domains.size + 2);
  return ({ labels }) => {
    const value = labels[key];
    return value === undefined ? 0 : (domains.get(value) ?? 0) * weight + add;
  };
}

/** Raw counts turned round: the fewest pods get the most points. */
function scored(
  parts: readonly Part[],
  nodes: readonly NodeState[],
  counts: (node: NodeState) => boolean,
): Part {
  const raw = new Map<NodeState, number>();
  for (const node of nodes) {
    if (!counts(node)) continue;
    raw.set(
      node,
      parts.reduce((sum, part) => sum + part(node), 0),
    );
  }
  const max = Math.max(0, ...raw.values());
  const min = Math.min(Number.POSITIVE_INFINITY, ...raw.values());
  return (node) => {
    const value = raw.get(node);
    if (value === undefined) return 0;
    return max === 0 ? SCORE_MAX : (SCORE_MAX * (max + min - value)) / max;
  };
}

function byConstraints(
  soft: readonly TopologySpreadConstraint[],
  pod: PodFacts,
  cluster: ClusterState,
  nodes: readonly NodeState[],
): Part {
  const known = nodes.filter((node) => hasKeys(node, soft));
  const parts = soft.map((constraint) => {
    const onNodes = countByNode(cluster, spreadMatch(constraint, pod), { staying: true });
    const { topologyKey: key, maxSkew } = constraint;
    const counts = (node: NodeState) => hasKeys(node, soft) && includes(constraint, pod, node);
    return partOf({ key, maxSkew, onNodes, counts }, cluster, known);
  });
  return scored(parts, known, () => true);
}

/** Upstream's system defaults: 3 over nodes, 5 over zones. */
function byDefault(pod: PodFacts, cluster: ClusterState, nodes: readonly NodeState[]) {
  const owner = controllerOf(pod.pod)?.uid;
  const onNodes = owner === undefined ? undefined : cluster.siblings.get(owner);
  if (onNodes === undefined) return undefined;
  const counts = () => true;
  const parts = [partOf({ key: HOSTNAME, maxSkew: 3, onNodes, counts }, cluster, nodes)];
  if (nodes.some(({ labels }) => labels[ZONE] !== undefined)) {
    parts.push(partOf({ key: ZONE, maxSkew: 5, onNodes, counts }, cluster, nodes));
  }
  return scored(parts, nodes, counts);
}

export function softSpread(
  pod: PodFacts,
  cluster: ClusterState,
  nodes: readonly NodeState[],
): Part | undefined {
  const constraints = pod.pod.spec?.topologySpreadConstraints ?? [];
  if (constraints.length === 0) return byDefault(pod, cluster, nodes);
  const soft = constraints.filter((one) => one.whenUnsatisfiable === "ScheduleAnyway");
  return soft.length === 0 ? undefined : byConstraints(soft, pod, cluster, nodes);
}
