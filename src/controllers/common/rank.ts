/**
 * Which pods go first when there are too many: those whose loss costs least
 * (kubernetes.io/docs/concepts/workloads/controllers/replicaset, "Scaling a ReplicaSet").
 */
import { isReady, podCondition } from "#controllers/common/pods.ts";
import { timeMs } from "#controllers/common/time.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

const DELETION_COST = "controller.kubernetes.io/pod-deletion-cost";
const PHASES = ["Pending", "Unknown", "Running"];

function deletionCost(pod: Pod): number {
  const text = pod.metadata?.annotations?.[DELETION_COST];
  if (text === undefined || !/^(0|-?[1-9]\d*)$/.test(text)) return 0;
  const cost = Number(text);
  return Math.abs(cost) <= 0x7fffffff ? cost : 0;
}

const restarts = (pod: Pod): number =>
  Math.max(0, ...(pod.status?.containerStatuses ?? []).map((status) => status.restartCount));

/**
 * Ages count by order of magnitude only, so that of pods of about one age any may go (KEP-2185).
 */
function magnitude(ageMs: number): number {
  return ageMs <= 0 ? 0 : Math.floor(Math.log2(ageMs));
}

function byAge(a: string | undefined, b: string | undefined, now: number): number {
  const left = timeMs(a);
  const right = timeMs(b);
  if (left === undefined || right === undefined) {
    return Number(left !== undefined) - Number(right !== undefined);
  }
  return magnitude(now - left) - magnitude(now - right);
}

/**
 * Pods in the order of deletion. `crowd` tells how many pods of the same service (the same owner's
 * owner) a node holds: doubled-up pods go first.
 */
export function deletionOrder(
  pods: ReadonlyArray<Stored<Pod>>,
  crowd: ReadonlyMap<string, number>,
  now: number,
): Array<Stored<Pod>> {
  const order = (a: Stored<Pod>, b: Stored<Pod>): number => {
    const steps: Array<() => number> = [
      () => Number(Boolean(a.spec?.nodeName)) - Number(Boolean(b.spec?.nodeName)),
      () => PHASES.indexOf(a.status?.phase ?? "") - PHASES.indexOf(b.status?.phase ?? ""),
      () => Number(isReady(a)) - Number(isReady(b)),
      () => deletionCost(a) - deletionCost(b),
      () => (crowd.get(b.spec?.nodeName ?? "") ?? 0) - (crowd.get(a.spec?.nodeName ?? "") ?? 0),
      () => (isReady(a) && isReady(b) ? byAge(readyAt(a), readyAt(b), now) : 0),
      () => restarts(b) - restarts(a),
      () => byAge(a.metadata.creationTimestamp, b.metadata.creationTimestamp, now),
      () => (a.metadata.uid < b.metadata.uid ? -1 : 1),
    ];
    for (const step of steps) {
      const result = step();
      if (result !== 0) return result;
    }
    return 0;
  };
  return [...pods].sort(order);
}

const readyAt = (pod: Pod): string | undefined => podCondition(pod, "Ready")?.lastTransitionTime;
