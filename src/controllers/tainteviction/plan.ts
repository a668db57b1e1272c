/**
 * Drives pods off nodes with NoExecute taints, each after the time that it tolerates
 * (kubernetes.io/docs/concepts/scheduling-eviction/taint-and-toleration, "Taint based evictions").
 */
import type { Plan } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { deleteAction, statusAction } from "#controllers/common/patch.ts";
import { isTerminal, mayRunTwice } from "#controllers/common/pods.ts";
import { toleration, UNREACHABLE } from "#controllers/common/taints.ts";
import { timeMs, timeText } from "#controllers/common/time.ts";
import { pods } from "#resources/kinds/pod.ts";
import { refKey, type Stored } from "#resources/meta.ts";
import type { Node, Pod } from "#resources/types.gen.ts";

/**
 * `bramble.dev/on-node-loss: wait` on a pod keeps it for its node: it is not replaced elsewhere
 * while the node is not reachable or not ready (for what lives on that node's disk or hardware).
 */
export const ON_NODE_LOSS = "bramble.dev/on-node-loss";

export interface State {
  pod: Stored<Pod>;
  node: Stored<Node>;
}

/** When the pod has to go, in milliseconds since the epoch; undefined: it may stay. */
function dueMs({ pod, node }: State, now: number): number | undefined {
  let due: number | undefined;
  for (const taint of node.spec?.taints ?? []) {
    if (taint.effect !== "NoExecute") continue;
    const stays = pod.metadata.annotations?.[ON_NODE_LOSS] === "wait";
    if (stays && taint.key.startsWith("node.kubernetes.io/")) continue;
    const match = toleration(pod.spec?.tolerations, taint);
    if (match !== undefined && match.tolerationSeconds === undefined) continue;
    const seconds = Math.max(0, match?.tolerationSeconds ?? 0);
    const at = match === undefined ? now : (timeMs(taint.timeAdded) ?? now) + seconds * 1000;
    due = Math.min(due ?? at, at);
  }
  return due;
}

export function plan(state: State, now: number): Plan {
  const { pod, node } = state;
  if (pod.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const due = dueMs(state, now);
  if (due === undefined) return { actions: [] };
  if (due > now) return { actions: [], againMs: due - now };
  const conditions = withCondition(pod.status?.conditions, {
    type: "DisruptionTarget",
    status: "True",
    reason: "DeletionByTaintManager",
    message: "Taint manager: deleting due to NoExecute taint",
    lastTransitionTime: timeText(now),
  });
  const marked = isTerminal(pod) ? [] : statusAction(pods, pod, { ...pod.status, conditions });
  // Nobody on that node could report the end; a StatefulSet's pod waits for it all the same.
  const lost = node.spec?.taints?.some(({ key }) => key === UNREACHABLE) === true;
  const force = lost && mayRunTwice(pod);
  const gone = deleteAction(pods, pod, force ? { gracePeriodSeconds: 0 } : {});
  const key = refKey(pod.metadata);
  return {
    actions: [
      ...marked,
      gone,
      {
        do: "event",
        about: pod,
        type: "Normal",
        reason: "TaintManagerEviction",
        message: `Marking for deletion Pod ${key}`,
      },
    ],
  };
}
