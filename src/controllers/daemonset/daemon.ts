/** The pod of a DaemonSet for one node, and whether a node should have one. */
import { generatedName, podOf } from "#controllers/common/pods.ts";
import { REVISION_HASH, type Revision } from "#controllers/common/revisions.ts";
import { NOT_READY, toleration, UNREACHABLE, UNSCHEDULABLE } from "#controllers/common/taints.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import type { Stored } from "#resources/meta.ts";
import { selectsNode } from "#resources/nodeselector.ts";
import type { DaemonSet, Node, NodeSelector, Pod, Toleration } from "#resources/types.gen.ts";

const GENERATION = "deprecated.daemonset.template.generation";
const POD_GENERATION = "pod-template-generation";

/** Daemons stay where other pods are driven off, and go where others are kept away. */
function tolerations(set: DaemonSet): Toleration[] {
  const exists = (key: string, effect: string) => ({ key, operator: "Exists", effect });
  const hostNetwork = set.spec?.template?.spec?.hostNetwork === true;
  const all = [
    exists(NOT_READY, "NoExecute"),
    exists(UNREACHABLE, "NoExecute"),
    exists("node.kubernetes.io/disk-pressure", "NoSchedule"),
    exists("node.kubernetes.io/memory-pressure", "NoSchedule"),
    exists("node.kubernetes.io/pid-pressure", "NoSchedule"),
    exists(UNSCHEDULABLE, "NoSchedule"),
    ...(hostNetwork ? [exists("node.kubernetes.io/network-unavailable", "NoSchedule")] : []),
  ];
  const own = set.spec?.template?.spec?.tolerations ?? [];
  const isGiven = (one: Toleration) =>
    own.some(
      ({ key, operator, effect }) =>
        key === one.key && operator === "Exists" && effect === one.effect,
    );
  return [...own, ...all.filter((one) => !isGiven(one))];
}

export interface Fit {
  /** A pod should be started here. */
  runs: boolean;
  /** A pod that is here may stay. */
  stays: boolean;
}

export function fitOf(set: Stored<DaemonSet>, node: Stored<Node>): Fit {
  const spec = set.spec?.template?.spec;
  const named = !spec?.nodeName || spec.nodeName === node.metadata.name;
  if (!named || !selectsNode(spec === undefined ? {} : { spec }, node))
    return { runs: false, stays: false };
  const allowed = tolerations(set);
  const bad = (node.spec?.taints ?? []).filter(
    (taint) => taint.effect !== "PreferNoSchedule" && toleration(allowed, taint) === undefined,
  );
  return { runs: bad.length === 0, stays: !bad.some(({ effect }) => effect === "NoExecute") };
}

/**
 * Keeps the template's terms and adds the node to each: the scheduler binds it there and nowhere
 * else.
 */
function pinned(required: NodeSelector | undefined, nodeName: string): NodeSelector {
  const matchFields = [{ key: "metadata.name", operator: "In", values: [nodeName] }];
  const terms = required?.nodeSelectorTerms ?? [];
  if (terms.length === 0) return { nodeSelectorTerms: [{ matchFields }] };
  return { nodeSelectorTerms: terms.map((term) => ({ ...term, matchFields })) };
}

export function daemonPod(options: {
  set: Stored<DaemonSet>;
  nodeName: string;
  revision: Revision;
  suffix: string;
}): Pod {
  const { set, nodeName, revision } = options;
  const generateName = `${set.metadata.name}-`;
  const name = generatedName(generateName, options.suffix);
  const { template } = revision;
  const pod = podOf({ template, kind: daemonSets, owner: set, name, generateName });
  const generation = set.metadata.annotations?.[GENERATION];
  const affinity = pod.spec?.affinity;
  const nodeAffinity = affinity?.nodeAffinity;
  const required = nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  return {
    metadata: {
      ...pod.metadata,
      labels: {
        ...pod.metadata?.labels,
        [REVISION_HASH]: revision.hash,
        ...(generation && { [POD_GENERATION]: generation }),
      },
    },
    spec: {
      containers: [],
      ...pod.spec,
      tolerations: tolerations(set),
      affinity: {
        ...affinity,
        nodeAffinity: {
          ...nodeAffinity,
          requiredDuringSchedulingIgnoredDuringExecution: pinned(required, nodeName),
        },
      },
    },
  };
}

/** The node that a pod runs on, or was made for. */
export function targetNode(pod: Pod): string | undefined {
  if (pod.spec?.nodeName) return pod.spec.nodeName;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  const field = required?.nodeSelectorTerms[0]?.matchFields?.find(
    ({ key, operator }) => key === "metadata.name" && operator === "In",
  );
  return field?.values?.[0];
}
