/** What the scheduler writes about pods: why one waits, and that one is driven out. */
import type { Stored } from "#resources/meta.ts";
import type { Json, Pod, PodCondition } from "#resources/types.gen.ts";

const timeText = (now: number): string => `${new Date(now).toISOString().slice(0, 19)}Z`;

/**
 * The status patch (strategic); undefined when the pod says so already. `now` in milliseconds.
 * `nominated`: the node where room is made, "" to take that back, undefined to leave it.
 */
export function unschedulablePatch(
  pod: Stored<Pod>,
  message: string,
  now: number,
  nominated?: string,
): Json | undefined {
  const known = pod.status?.conditions?.find((condition) => condition.type === "PodScheduled");
  const told =
    known?.status === "False" && known.reason === "Unschedulable" && known.message === message;
  const before = pod.status?.nominatedNodeName ?? "";
  const moves = nominated !== undefined && nominated !== before;
  if (told && !moves) return undefined;
  const time = timeText(now);
  const since = known?.status === "False" ? (known.lastTransitionTime ?? time) : time;
  const condition = {
    type: "PodScheduled",
    status: "False",
    reason: "Unschedulable",
    message,
    lastTransitionTime: since,
  };
  const nominatedNodeName = nominated === "" ? null : (nominated ?? null);
  return {
    metadata: { uid: pod.metadata.uid },
    status: { conditions: [condition], ...(moves && { nominatedNodeName }) },
  };
}

/** The condition of a victim (KEP-3329). */
export function preemptedPatch(victim: Stored<Pod>, schedulerName: string, now: number): Json {
  const condition: PodCondition = {
    type: "DisruptionTarget",
    status: "True",
    reason: "PreemptionByScheduler",
    message: `${schedulerName}: preempting to accommodate a higher priority pod`,
    lastTransitionTime: timeText(now),
  };
  return { metadata: { uid: victim.metadata.uid }, status: { conditions: [{ ...condition }] } };
}
