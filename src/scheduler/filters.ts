/**
 * Which nodes a pod may run on: an array of pure filters in upstream's order. A filter prepares
 * itself for a pod (undefined: it does not concern it) and then answers, for a node, why not.
 */
import { matchesTerm, untolerated } from "#resources/nodeselector.ts";
import { interPodAffinity } from "#scheduler/affinity.ts";
import type { PodFacts } from "#scheduler/facts.ts";
import type { NodeState } from "#scheduler/node.ts";
import { topologySpread } from "#scheduler/spread.ts";
import type { ClusterState } from "#scheduler/state.ts";
import { podClaims, volumeWork } from "#scheduler/storage.ts";

/** Why a node is no choice, in upstream's words. */
export interface Refusal {
  readonly reasons: readonly string[];
  /** It stays so whatever pods are evicted. */
  readonly final: boolean;
}

export type NodeTest = (node: NodeState) => Refusal | undefined;

/** The whole cluster is no choice. */
export interface Stop {
  readonly stop: string;
  readonly final: boolean;
}

/** Changes that can let a refused pod fit. */
export type Wake =
  | "node"
  /** A pod left its node, or asks for less. */
  | "room"
  /** A pod is on a node, or its labels changed. */
  | "pod"
  /** A claim of the pod's own namespace. */
  | "claim"
  /** A volume, a class, reported space. */
  | "storage"
  | "namespace";

export interface Filter {
  readonly name: string;
  /** Looks at other nodes' pods: prepared anew when pods come or go. */
  readonly global?: boolean;
  readonly wokenBy: readonly Wake[];
  prepare(pod: PodFacts, cluster: ClusterState): NodeTest | Stop | undefined;
}

export const refusal = (reason: string, final = false): Refusal => ({ reasons: [reason], final });

const UNSCHEDULABLE = refusal("node(s) were unschedulable", true);
const nodeUnschedulable: Filter = {
  name: "NodeUnschedulable",
  wokenBy: ["node"],
  prepare({ pod }) {
    const taint = { key: "node.kubernetes.io/unschedulable", effect: "NoSchedule" };
    const allowed = untolerated([taint], pod.spec?.tolerations ?? [], ["NoSchedule"]) === undefined;
    if (allowed) return undefined;
    return (node) => (node.node?.spec?.unschedulable === true ? UNSCHEDULABLE : undefined);
  },
};

const TAINTED = refusal("node(s) had untolerated taint(s)", true);
const HARD_EFFECTS = ["NoSchedule", "NoExecute"];
const taintToleration: Filter = {
  name: "TaintToleration",
  wokenBy: ["node"],
  prepare({ pod }) {
    const tolerations = pod.spec?.tolerations ?? [];
    return ({ taints }) =>
      taints.length > 0 && untolerated(taints, tolerations, HARD_EFFECTS) !== undefined
        ? TAINTED
        : undefined;
  },
};

const NO_AFFINITY = refusal("node(s) didn't match Pod's node affinity/selector", true);
const nodeAffinity: Filter = {
  name: "NodeAffinity",
  wokenBy: ["node"],
  prepare({ pod }) {
    const selector = Object.entries(pod.spec?.nodeSelector ?? {});
    const needed = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
    if (selector.length === 0 && needed === undefined) return undefined;
    return (node) => {
      const fits =
        selector.every(([key, value]) => node.labels[key] === value) &&
        (needed === undefined ||
          needed.nodeSelectorTerms.some((term) => matchesTerm(term, node.labels, node.name)));
      return fits ? undefined : NO_AFFINITY;
    };
  },
};

/** Two uses of a port clash unless both name different addresses. */
function portClash(wanted: string, used: Iterable<string>): boolean {
  const [protocol, address, port] = wanted.split("/");
  for (const other of used) {
    const [otherProtocol, otherAddress, otherPort] = other.split("/");
    if (protocol !== otherProtocol || port !== otherPort) continue;
    const anyAddress = address === "0.0.0.0" || otherAddress === "0.0.0.0";
    if (address === otherAddress || anyAddress) return true;
  }
  return false;
}

const NO_PORT = refusal("node(s) didn't have free ports for the requested pod ports");
const nodePorts: Filter = {
  name: "NodePorts",
  wokenBy: ["node", "room"],
  prepare({ ports }) {
    if (ports.length === 0) return undefined;
    return (node) =>
      ports.some((port) => portClash(port, node.ports.keys())) ? NO_PORT : undefined;
  },
};

function shortages(node: NodeState, requests: ReadonlyArray<[string, number]>): Refusal {
  const reasons: string[] = [];
  let final = false;
  if (node.pods.size + 1 > (node.allocatable["pods"] ?? 0)) reasons.push("Too many pods");
  for (const [name, amount] of requests) {
    const all = node.allocatable[name] ?? 0;
    if (amount <= all - (node.requested[name] ?? 0)) continue;
    reasons.push(`Insufficient ${name}`);
    final ||= amount > all;
  }
  return { reasons, final };
}

const resourcesFit: Filter = {
  name: "NodeResourcesFit",
  wokenBy: ["node", "room"],
  prepare(pod) {
    const requests = Object.entries(pod.requests).filter(([, amount]) => amount > 0);
    return (node) => {
      const { allocatable, requested } = node;
      let fits = node.pods.size < (allocatable["pods"] ?? 0);
      for (const [name, amount] of requests) {
        fits &&= amount <= (allocatable[name] ?? 0) - (requested[name] ?? 0);
      }
      return fits ? undefined : shortages(node, requests);
    };
  },
};

const RWOP_IN_USE = refusal(
  "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode " +
    "already in-use by another pod",
);
/** ReadWriteOncePod: one pod in the whole cluster (KEP-2485). */
const volumeRestrictions: Filter = {
  name: "VolumeRestrictions",
  global: true,
  wokenBy: ["room", "claim"],
  prepare(pod, cluster) {
    const alone = pod.claims.filter((key) =>
      cluster.storage.claim(key)?.spec?.accessModes?.includes("ReadWriteOncePod"),
    );
    const users = alone.flatMap((key) => [...(cluster.claimUsers.get(key) ?? [])]);
    const others = users.filter((key) => key !== pod.key);
    return others.length === 0 ? undefined : () => RWOP_IN_USE;
  },
};

const volumeBinding: Filter = {
  name: "VolumeBinding",
  wokenBy: ["node", "claim", "storage"],
  prepare(pod, cluster) {
    if (pod.claims.length === 0) return undefined;
    const claims = podClaims(pod.pod, cluster.storage);
    if (typeof claims === "string") return { stop: claims, final: true };
    return (node) => {
      const work = volumeWork(claims, node, cluster.storage);
      return typeof work === "string" ? refusal(work, true) : undefined;
    };
  },
};

export const filters: readonly Filter[] = [
  nodeUnschedulable,
  taintToleration,
  nodeAffinity,
  nodePorts,
  resourcesFit,
  volumeRestrictions,
  volumeBinding,
  {
    name: "PodTopologySpread",
    global: true,
    wokenBy: ["node", "room", "pod"],
    prepare: topologySpread,
  },
  {
    name: "InterPodAffinity",
    global: true,
    wokenBy: ["node", "room", "pod", "namespace"],
    prepare: interPodAffinity,
  },
];
