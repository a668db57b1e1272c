/**
 * What a node's silence means: conditions turn Unknown, taints keep pods away or drive them off,
 * its pods count as not ready (kubernetes.io/docs/concepts/architecture/nodes, "Node controller").
 */
import type { Action, Plan } from "#client/controller.ts";
import { conditionOf } from "#controllers/common/conditions.ts";
import { patchAction, statusAction } from "#controllers/common/patch.ts";
import { isReady } from "#controllers/common/pods.ts";
import { NOT_READY, UNREACHABLE, UNSCHEDULABLE } from "#controllers/common/taints.ts";
import { timeText } from "#controllers/common/time.ts";
import { sameValue } from "#resources/equal.ts";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node, NodeCondition, Pod, Taint } from "#resources/types.gen.ts";

export interface State {
  node: Stored<Node>;
  /** Pods on the node; looked at only while it is silent. */
  pods: ReadonlyArray<Stored<Pod>>;
  /** Milliseconds since the last sign of life was seen here: no clock but ours is asked. */
  silentMs: number;
  graceMs: number;
  /** No node gives a sign: then it is this server that is cut off, and nothing is driven away. */
  allSilent: boolean;
}

/** Signs of life have the granularity of a renewal; a moment more costs little. */
const SLACK_MS = 50;
/**
 * A node that never reported gets this much longer (node-startup-grace-period upstream is 60 s).
 */
const STARTUP_GRACE_MS = 60_000;
const SILENT_AGAIN_MS = 5_000;

const REPORTED = ["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"];

/** Conditions that keep new pods away while they are true. */
const PRESSURES: Readonly<Record<string, string>> = {
  MemoryPressure: "node.kubernetes.io/memory-pressure",
  DiskPressure: "node.kubernetes.io/disk-pressure",
  PIDPressure: "node.kubernetes.io/pid-pressure",
  NetworkUnavailable: "node.kubernetes.io/network-unavailable",
};

const MANAGED = new Set([NOT_READY, UNREACHABLE, UNSCHEDULABLE, ...Object.values(PRESSURES)]);

function silenced(node: Stored<Node>, now: number): NodeCondition[] {
  const time = timeText(now);
  const known = node.status?.conditions ?? [];
  const never = conditionOf(known, "Ready") === undefined;
  const reason = never ? "NodeStatusNeverUpdated" : "NodeStatusUnknown";
  const message = never
    ? "Kubelet never posted node status."
    : "Kubelet stopped posting node status.";
  const others = known.filter(({ type }) => !REPORTED.includes(type));
  return [
    ...others,
    ...REPORTED.map((type): NodeCondition => {
      const old = conditionOf(known, type);
      if (old?.status === "Unknown") return old;
      return { ...old, type, status: "Unknown", reason, message, lastTransitionTime: time };
    }),
  ];
}

interface Wanted {
  key: string;
  effect: string;
}

function wantedTaints({ node, allSilent }: State): Wanted[] {
  const conditions = node.status?.conditions;
  const ready = conditionOf(conditions, "Ready")?.status;
  const out: Wanted[] = [];
  if (ready !== "True") {
    const key = ready === "Unknown" ? UNREACHABLE : NOT_READY;
    out.push({ key, effect: "NoSchedule" });
    // A node that has not reported yet has no pods to drive off.
    if (ready !== undefined && !allSilent) out.push({ key, effect: "NoExecute" });
  }
  for (const [type, key] of Object.entries(PRESSURES)) {
    if (conditionOf(conditions, type)?.status === "True") out.push({ key, effect: "NoSchedule" });
  }
  if (node.spec?.unschedulable) out.push({ key: UNSCHEDULABLE, effect: "NoSchedule" });
  return out;
}

/** Taints of others stay; ours are as the conditions say, and keep the time they were added. */
function taintActions(state: State, now: number): Action[] {
  const { node } = state;
  const known = node.spec?.taints ?? [];
  const wanted = wantedTaints(state);
  const is = (taint: Taint) => (one: Wanted) =>
    one.key === taint.key && one.effect === taint.effect;
  const kept = known.filter((taint) => !MANAGED.has(taint.key) || wanted.some(is(taint)));
  const added = wanted
    .filter((one) => !known.some((taint) => is(taint)(one)))
    .map((one): Taint => ({ ...one, timeAdded: timeText(now) }));
  const taints = [...kept, ...added];
  if (sameValue(taints, known)) return [];
  const { taints: _, ...spec } = node.spec ?? {};
  const parts = { spec: taints.length > 0 ? { ...spec, taints } : spec };
  return patchAction(nodes, node, parts, { guarded: true });
}

/** Endpoints follow readiness: no traffic for pods that may not be there. */
function unready(pod: Stored<Pod>, now: number): Action[] {
  if (!isReady(pod)) return [];
  const conditions = (pod.status?.conditions ?? []).map((condition) =>
    condition.type === "Ready"
      ? { ...condition, status: "False", lastTransitionTime: timeText(now) }
      : condition,
  );
  return statusAction(pods, pod, { ...pod.status, conditions });
}

export function plan(state: State, now: number): Plan {
  const { node, silentMs } = state;
  const ready = conditionOf(node.status?.conditions, "Ready");
  const graceMs = ready === undefined ? Math.max(STARTUP_GRACE_MS, state.graceMs) : state.graceMs;
  const silent = silentMs >= graceMs;
  if (!silent) return { actions: taintActions(state, now), againMs: graceMs - silentMs + SLACK_MS };
  const againMs = SILENT_AGAIN_MS;
  const conditions = silenced(node, now);
  const { name } = node.metadata;
  if (!sameValue(conditions, node.status?.conditions)) {
    const status = { ...node.status, conditions };
    const event: Action = {
      do: "event",
      about: node,
      type: "Normal",
      reason: "NodeNotReady",
      message: `Node ${name} status is now: NodeNotReady`,
    };
    // The node's agent may have spoken a moment ago: then this is refused and looked at again.
    const actions = statusAction(nodes, node, status, { guarded: true });
    return { actions: [...actions, event], againMs };
  }
  const taints = taintActions(state, now);
  return { actions: [...taints, ...state.pods.flatMap((pod) => unready(pod, now))], againMs };
}
