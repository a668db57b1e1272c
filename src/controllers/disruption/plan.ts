/**
 * How many pods of a budget may be disturbed now (kubernetes.io/docs/tasks/run-
 * application/configure-pdb): evictions take from the number that this writes.
 */
import type { Action, Plan } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { scaledValue } from "#controllers/common/number.ts";
import { statusAction } from "#controllers/common/patch.ts";
import { isReady, isTerminal } from "#controllers/common/pods.ts";
import { timeMs, timeText } from "#controllers/common/time.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type {
  Condition,
  Pod,
  PodDisruptionBudget,
  PodDisruptionBudgetStatus,
} from "#resources/types.gen.ts";

export interface State {
  budget: Stored<PodDisruptionBudget>;
  /** Pods that the budget selects. */
  pods: ReadonlyArray<Stored<Pod>>;
  /**
   * Replicas that the owner at the top of each pod's controllers wants, by an id of that owner; a
   * pod whose owner has no scale is not in `scaleOf`.
   */
  scaleOf: ReadonlyMap<string, { owner: string; replicas: number }>;
}

/** An eviction that is not followed by a deletion within this does not count any more. */
const DISRUPTED_MS = 120_000;

type Expected = { expected: number; desired: number } | { error: string };

function scales(state: State): number | string {
  const owners = new Map<string, number>();
  for (const pod of state.pods) {
    const { uid, name } = pod.metadata;
    const scale = state.scaleOf.get(uid);
    if (scale === undefined) {
      const kind = controllerOf(pod)?.kind;
      if (kind === undefined) return `found no controller ref for pod "${name}"`;
      return `${kind.toLowerCase()}s does not implement the scale subresource`;
    }
    owners.set(scale.owner, scale.replicas);
  }
  return [...owners.values()].reduce((sum, replicas) => sum + replicas, 0);
}

function expectation(state: State): Expected {
  const { minAvailable, maxUnavailable } = state.budget.spec ?? {};
  if (maxUnavailable !== undefined) {
    const expected = scales(state);
    if (typeof expected === "string") return { error: expected };
    const most = scaledValue(maxUnavailable, expected, "up");
    return { expected, desired: Math.max(0, expected - most) };
  }
  if (typeof minAvailable === "string" && minAvailable.endsWith("%")) {
    const expected = scales(state);
    if (typeof expected === "string") return { error: expected };
    return { expected, desired: scaledValue(minAvailable, expected, "up") };
  }
  const expected = state.pods.filter((pod) => !isTerminal(pod)).length;
  return { expected, desired: scaledValue(minAvailable, expected, "up") };
}

interface Disrupted {
  /** Evicted and still there, by name. */
  pods: Record<string, string>;
  againMs: number | undefined;
}

function disrupted({ budget, pods }: State, now: number): Disrupted {
  const out: Disrupted = { pods: {}, againMs: undefined };
  for (const [name, time] of Object.entries(budget.status?.disruptedPods ?? {})) {
    const pod = pods.find((one) => one.metadata.name === name);
    const leftMs = (timeMs(time) ?? 0) + DISRUPTED_MS - now;
    if (pod === undefined || pod.metadata.deletionTimestamp !== undefined || leftMs <= 0) continue;
    out.pods[name] = time;
    out.againMs = Math.min(out.againMs ?? leftMs, leftMs);
  }
  return out;
}

function conditionsOf(
  budget: Stored<PodDisruptionBudget>,
  reason: string,
  message: string,
  now: number,
): Condition[] {
  const made = {
    type: "DisruptionAllowed",
    status: reason === "SufficientPods" ? "True" : "False",
    reason,
    message,
    lastTransitionTime: timeText(now),
    observedGeneration: budget.metadata.generation ?? 0,
  };
  const next = withCondition(budget.status?.conditions, made);
  const { observedGeneration } = made;
  return next.map((one) =>
    one.type === made.type ? { ...one, message, observedGeneration } : one,
  );
}

/** Evictions write the same status: a change in between is not overwritten. */
function write(budget: Stored<PodDisruptionBudget>, status: PodDisruptionBudgetStatus): Action[] {
  return statusAction(podDisruptionBudgets, budget, status, { guarded: true });
}

export function plan(state: State, now: number): Plan {
  const { budget, pods } = state;
  const wanted = expectation(state);
  const { pods: disruptedPods, againMs } = disrupted(state, now);
  if ("error" in wanted) {
    // Nothing is known for sure: then nothing may be disturbed.
    const { error } = wanted;
    const zero = { currentHealthy: 0, desiredHealthy: 0, expectedPods: 0 };
    const conditions = conditionsOf(budget, "SyncFailed", error, now);
    const status = { ...zero, ...budget.status, disruptionsAllowed: 0, conditions };
    const event: Action = {
      do: "event",
      about: budget,
      type: "Warning",
      reason: "CalculateExpectedPodCountFailed",
      message: `Failed to calculate the number of expected pods: ${error}`,
    };
    const writes = write(budget, status);
    return { actions: writes.length > 0 ? [...writes, event] : [] };
  }
  const { expected, desired } = wanted;
  const healthy = pods.filter(
    (pod) =>
      pod.metadata.deletionTimestamp === undefined &&
      isReady(pod) &&
      disruptedPods[pod.metadata.name] === undefined,
  ).length;
  const allowed = expected <= 0 ? 0 : Math.max(0, healthy - desired);
  const reason = allowed > 0 ? "SufficientPods" : "InsufficientPods";
  const actions = write(budget, {
    observedGeneration: budget.metadata.generation ?? 0,
    currentHealthy: healthy,
    desiredHealthy: desired,
    expectedPods: expected,
    disruptionsAllowed: allowed,
    ...(Object.keys(disruptedPods).length > 0 && { disruptedPods }),
    conditions: conditionsOf(budget, reason, "", now),
  });
  return { actions, ...(againMs !== undefined && { againMs }) };
}
