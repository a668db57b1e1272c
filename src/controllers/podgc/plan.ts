/**
 * Removes pods that no agent will ever finish: of nodes that are gone, never scheduled, or too many
 * ended.
 */
import type { Action, Plan } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { deleteAction, statusAction } from "#controllers/common/patch.ts";
import { isTerminal, mayRunTwice } from "#controllers/common/pods.ts";
import { timeMs, timeText } from "#controllers/common/time.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Node, Pod, PodStatus } from "#resources/types.gen.ts";

export interface State {
  pod: Stored<Pod>;
  node: Stored<Node> | undefined;
  /** Milliseconds since the pod's node was first missed; undefined while it is there. */
  missedMs: number | undefined;
  /** Ended pods beyond the threshold, and this is among the oldest of them. */
  surplus: boolean;
}

/** The pods of a node that is not there, and for how long each counts it as missing. */
export interface MissingNode {
  missed: ReadonlyArray<{ readonly key: string; readonly ms: number }>;
}

/** A node that was removed by mistake may be back at once; its pods go after this, as upstream's. */
export const QUARANTINE_MS = 40_000;

const OUT_OF_SERVICE = "node.kubernetes.io/out-of-service";

function why({ pod, node, missedMs, surplus }: State, now: number): string | undefined {
  const due = timeMs(pod.metadata.deletionTimestamp);
  const leaving = due !== undefined;
  const name = pod.spec?.nodeName;
  if (surplus && isTerminal(pod)) return "surplus";
  if (!name) return leaving ? "unscheduled" : undefined;
  if (missedMs !== undefined) return missedMs >= QUARANTINE_MS ? "orphaned" : undefined;
  const out = node?.spec?.taints?.some(({ key }) => key === OUT_OF_SERVICE) === true;
  const ready = node?.status?.conditions?.find(({ type }) => type === "Ready")?.status;
  if (leaving && out && ready !== "True") return "out of service";
  // Nobody is there to finish it, and its replacement need not wait: only a StatefulSet's must.
  const lost = leaving && now >= due && ready === "Unknown";
  return lost && mayRunTwice(pod) ? "unreachable" : undefined;
}

/** An end for a pod that nobody will report: Failed, and why. */
function ended(pod: Stored<Pod>, message: string, now: number): Action[] {
  if (isTerminal(pod)) return [];
  const conditions = withCondition(pod.status?.conditions, {
    type: "DisruptionTarget",
    status: "True",
    reason: "DeletionByPodGC",
    message,
    lastTransitionTime: timeText(now),
  });
  const status: PodStatus = { ...pod.status, phase: "Failed", conditions };
  return statusAction(pods, pod, status);
}

export function plan(state: State | MissingNode, now: number): Plan {
  return "missed" in state ? planNode(state) : planPod(state, now);
}

/** Wakes the pods whose time is over; looks again when the next one's is, or others may be bound. */
function planNode({ missed }: MissingNode): Plan {
  const left = missed.map(({ ms }) => QUARANTINE_MS - ms).filter((ms) => ms > 0);
  const wake = missed.filter(({ ms }) => ms >= QUARANTINE_MS).map(({ key }) => key);
  return { actions: [], wake, againMs: Math.min(QUARANTINE_MS, ...left) };
}

function planPod(state: State, now: number): Plan {
  const { pod, missedMs } = state;
  const reason = why(state, now);
  if (reason === undefined) {
    const waiting = missedMs !== undefined && pod.spec?.nodeName;
    if (waiting) return { actions: [], againMs: QUARANTINE_MS - missedMs };
    const due = timeMs(pod.metadata.deletionTimestamp);
    return due !== undefined && due > now ? { actions: [], againMs: due - now } : { actions: [] };
  }
  const gone = deleteAction(pods, pod, { gracePeriodSeconds: 0 });
  if (reason === "orphaned") {
    return { actions: [...ended(pod, "PodGC: node no longer exists", now), gone] };
  }
  if (reason === "out of service") {
    return { actions: [...ended(pod, "PodGC: node is out of service", now), gone] };
  }
  return { actions: [gone] };
}
