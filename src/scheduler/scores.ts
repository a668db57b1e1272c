/** How good a node is for a pod: pure scores of 0 to 100, weighed as upstream weighs them. */
import { matchesTerm, tolerates } from "#resources/nodeselector.ts";
import type { PodFacts } from "#scheduler/facts.ts";
import type { NodeState } from "#scheduler/node.ts";
import { preferredPods } from "#scheduler/preferred.ts";
import { softSpread } from "#scheduler/softspread.ts";
import type { ClusterState } from "#scheduler/state.ts";

const SCORE_MAX = 100;

export type NodeScore = (node: NodeState) => number;

export interface Score {
  readonly name: string;
  readonly weight: number;
  /**
   * How raw values become 0 to 100 over all nodes that fit: as they are, stretched from the lowest
   * to the highest, the share of the highest, or that share turned round (upstream's
   * NormalizeScore).
   */
  readonly scale: "none" | "stretch" | "share" | "reverse";
  /** Undefined where it makes no difference for this pod. */
  prepare(pod: PodFacts, cluster: ClusterState, nodes: readonly NodeState[]): NodeScore | undefined;
}

const share = (used: number, all: number): number => (all <= 0 ? 1 : Math.min(1, used / all));

function usage(pod: PodFacts): (node: NodeState) => [cpu: number, memory: number] {
  const { cpu, memory } = pod.nonzero;
  return (node) => [
    share(node.nonzero.cpu + cpu, node.allocatable["cpu"] ?? 0),
    share(node.nonzero.memory + memory, node.allocatable["memory"] ?? 0),
  ];
}

export const leastAllocated: Score = {
  name: "NodeResourcesFit",
  weight: 1,
  scale: "none",
  prepare(pod) {
    const used = usage(pod);
    return (node) => {
      const [cpu, memory] = used(node);
      return SCORE_MAX * (1 - (cpu + memory) / 2);
    };
  },
};

/** Fills one node after the other (upstream's MostAllocated strategy). */
export const mostAllocated: Score = {
  name: "NodeResourcesFit",
  weight: 10,
  scale: "none",
  prepare(pod) {
    const used = usage(pod);
    return (node) => {
      const [cpu, memory] = used(node);
      return (SCORE_MAX * (cpu + memory)) / 2;
    };
  },
};

const balanced: Score = {
  name: "NodeResourcesBalancedAllocation",
  weight: 1,
  scale: "none",
  prepare(pod) {
    const used = usage(pod);
    return (node) => {
      const [cpu, memory] = used(node);
      return SCORE_MAX * (1 - Math.abs(cpu - memory) / 2);
    };
  },
};

const preferredNodes: Score = {
  name: "NodeAffinity",
  weight: 2,
  scale: "share",
  prepare({ pod }) {
    const wishes =
      pod.spec?.affinity?.nodeAffinity?.preferredDuringSchedulingIgnoredDuringExecution ?? [];
    if (wishes.length === 0) return undefined;
    return (node) =>
      wishes.reduce(
        (sum, { preference, weight }) =>
          matchesTerm(preference, node.labels, node.name) ? sum + weight : sum,
        0,
      );
  },
};

const softTaints: Score = {
  name: "TaintToleration",
  weight: 3,
  scale: "reverse",
  prepare({ pod }, _, nodes) {
    const soft = "PreferNoSchedule";
    if (!nodes.some(({ taints }) => taints.some(({ effect }) => effect === soft))) return undefined;
    const tolerations = pod.spec?.tolerations ?? [];
    return ({ taints }) =>
      taints.filter((t) => t.effect === soft && !tolerations.some((one) => tolerates(one, t)))
        .length;
  },
};

const MB = 1024 * 1024;
const IMAGE_BYTES_MIN = 23 * MB;
const IMAGE_BYTES_MAX = 1000 * MB;

/** A tag where none is written, as the runtime lists it. */
const taggedName = (image: string): string =>
  image.lastIndexOf(":") <= image.lastIndexOf("/") ? `${image}:latest` : image;

/**
 * Nodes that hold the images already start sooner; what few nodes hold counts less, lest they heat
 * up.
 */
const imageLocality: Score = {
  name: "ImageLocality",
  weight: 1,
  scale: "none",
  prepare({ pod }, cluster, nodes) {
    const containers = [...(pod.spec?.initContainers ?? []), ...(pod.spec?.containers ?? [])];
    const wanted = containers
      .map(({ image = "" }) => taggedName(image))
      .filter((image) => cluster.imageNodes.has(image));
    if (wanted.length === 0 || nodes.length === 0) return undefined;
    const total = cluster.live().length;
    const max = IMAGE_BYTES_MAX * containers.length;
    return (node) => {
      let bytes = 0;
      for (const image of wanted) {
        const spread = (cluster.imageNodes.get(image) ?? 0) / total;
        bytes += (node.images.get(image) ?? 0) * spread;
      }
      const bounded = Math.min(max, Math.max(IMAGE_BYTES_MIN, bytes));
      return (SCORE_MAX * (bounded - IMAGE_BYTES_MIN)) / (max - IMAGE_BYTES_MIN);
    };
  },
};

/** All but the one about resources, which is a profile's choice. */
export const commonScores: readonly Score[] = [
  balanced,
  preferredNodes,
  softTaints,
  { name: "PodTopologySpread", weight: 2, scale: "none", prepare: softSpread },
  { name: "InterPodAffinity", weight: 2, scale: "stretch", prepare: preferredPods },
  imageLocality,
];
