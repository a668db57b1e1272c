/** Scales what an autoscaler points at by its metrics, within its bounds and at its pace. */
import type { Action, Failure, Plan } from "#client/controller.ts";
import { behave, type History, type Limited } from "#controllers/autoscaler/behavior.ts";
import type { Proposal } from "#controllers/autoscaler/propose.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { statusAction } from "#controllers/common/patch.ts";
import { timeText } from "#controllers/common/time.ts";
import type { Kind } from "#resources/kind.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";
import type { Stored } from "#resources/meta.ts";
import { milliValue } from "#resources/quantity.ts";
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  AutoscalingV2HorizontalPodAutoscalerStatus,
  HorizontalPodAutoscalerCondition,
  MetricStatus,
  MetricValueStatus,
} from "#resources/types.gen.ts";

export interface State {
  hpa: Stored<AutoscalingV2HorizontalPodAutoscaler>;
  /** What it scales; an error where that cannot be found or has no scale. */
  target: { kind: Kind; name: string; replicas: number } | { error: string };
  /** What the metrics ask for; undefined where they were not asked. */
  proposal: Proposal | undefined;
  history: History;
}

/** horizontal-pod-autoscaler-sync-period upstream. */
export const PERIOD_MS = 15_000;

type Conditions = HorizontalPodAutoscalerCondition[];

/** Use goes up and down a little all the time: a status is written where it tells something new. */
const NOTABLE = 0.1;

function isNotable(before: MetricValueStatus, after: MetricValueStatus): boolean {
  const far = (a: string | undefined, b: string | undefined): boolean => {
    if (a === undefined || b === undefined) return a !== b;
    const [left, right] = [milliValue(a), milliValue(b)];
    return Math.abs(left - right) > NOTABLE * Math.max(Math.abs(left), Math.abs(right));
  };
  const moved = Math.abs((before.averageUtilization ?? 0) - (after.averageUtilization ?? 0)) > 1;
  return moved || far(before.averageValue, after.averageValue) || far(before.value, after.value);
}

const currentOf = (status: MetricStatus): MetricValueStatus =>
  (status.resource ?? status.containerResource ?? status.pods ?? status.object ?? status.external)
    ?.current ?? {};

function metricsOf(before: MetricStatus[] = [], after: MetricStatus[]): MetricStatus[] {
  const same =
    before.length === after.length &&
    after.every((one, i) => {
      const old = before[i];
      return old?.type === one.type && !isNotable(currentOf(old), currentOf(one));
    });
  return same ? before : after;
}

interface Decision {
  desired: number;
  /** Why it is scaled; undefined when it is not. */
  reason?: string;
  limits?: Limited;
}

function decide(state: State, current: number, now: number): Decision {
  const { hpa, proposal, history } = state;
  const { minReplicas: min = 1, maxReplicas: max = 1, behavior } = hpa.spec ?? {};
  if (current === 0 && min !== 0) return { desired: 0 };
  if (current > max) {
    return { desired: max, reason: "Current number of replicas above Spec.MaxReplicas" };
  }
  if (current < min) {
    return { desired: min, reason: "Current number of replicas below Spec.MinReplicas" };
  }
  const wanted = proposal?.replicas;
  if (wanted === undefined) return { desired: current };
  const { scaleUp, scaleDown } = behavior ?? {};
  const limits = behave({ current, desired: wanted, min, max, scaleUp, scaleDown }, history, now);
  const desired = limits.replicas;
  if (desired === current) return { desired, limits };
  const up = `${proposal?.metric} above target`;
  return { desired, limits, reason: wanted > current ? up : "All metrics below target" };
}

function conditionsOf(state: State, decision: Decision, current: number, now: number): Conditions {
  const { hpa, proposal } = state;
  let out: Conditions = hpa.status?.conditions ?? [];
  const set = (type: string, is: boolean, reason: string, message: string): void => {
    const lastTransitionTime = timeText(now);
    const made = { type, status: is ? "True" : "False", reason, message, lastTransitionTime };
    out = withCondition(out, made).map((one) => (one.type === type ? { ...one, message } : one));
  };
  const { limits, desired, reason } = decision;
  const got = "the HPA controller was able to get the target's current scale";
  if (limits === undefined) set("AbleToScale", true, "SucceededGetScale", got);
  if (current === 0 && desired === 0) {
    const message = "scaling is disabled since the replica count of the target is zero";
    set("ScalingActive", false, "ScalingDisabled", message);
  } else if (proposal?.problem) {
    set("ScalingActive", false, proposal.problem.reason, proposal.problem.message);
  } else if (limits !== undefined) {
    const can = "the HPA was able to successfully calculate a replica count from";
    const message = `${can} ${proposal?.metric}`;
    set("ScalingActive", true, "ValidMetricFound", message);
    set("AbleToScale", true, limits.stabilized.reason, limits.stabilized.message);
    set("ScalingLimited", limits.limited.is, limits.limited.reason, limits.limited.message);
  }
  if (reason !== undefined) {
    const message = `the HPA controller was able to update the target scale to ${desired}`;
    set("AbleToScale", true, "SucceededRescale", message);
  }
  return out;
}

function event(state: State, type: "Normal" | "Warning", reason: string, message: string): Action {
  return { do: "event", about: state.hpa, type, reason, message };
}

/** The target cannot be found, or has no scale. */
function unable(state: State, error: string, now: number): Plan {
  const { hpa } = state;
  const message = `the HPA controller was unable to get the target's current scale: ${error}`;
  const conditions = withCondition(hpa.status?.conditions, {
    type: "AbleToScale",
    status: "False",
    reason: "FailedGetScale",
    message,
    lastTransitionTime: timeText(now),
  });
  const status = { desiredReplicas: 0, ...hpa.status, conditions };
  const actions = statusAction(horizontalPodAutoscalers, hpa, status);
  const told = event(state, "Warning", "FailedGetScale", error);
  return { actions: [...actions, told], againMs: PERIOD_MS };
}

export function plan(state: State, now: number): Plan {
  const { hpa, target, proposal } = state;
  if (hpa.metadata.deletionTimestamp !== undefined) return { actions: [] };
  if ("error" in target) return unable(state, target.error, now);
  const decision = decide(state, target.replicas, now);
  const { desired, reason } = decision;
  const { namespace = "" } = hpa.metadata;
  const status: AutoscalingV2HorizontalPodAutoscalerStatus = {
    ...hpa.status,
    currentReplicas: target.replicas,
    desiredReplicas: desired,
    currentMetrics: metricsOf(hpa.status?.currentMetrics, proposal?.statuses ?? []),
    conditions: conditionsOf(state, decision, target.replicas, now),
    ...(hpa.metadata.generation && { observedGeneration: hpa.metadata.generation }),
    ...(reason !== undefined && { lastScaleTime: timeText(now) }),
  };
  const actions: Action[] = [];
  if (reason !== undefined) {
    actions.push({
      do: "patch",
      kind: target.kind,
      ref: { namespace, name: target.name },
      type: "merge",
      body: { spec: { replicas: desired } },
      options: { subresource: "scale" },
    });
    const message = `New size: ${desired}; reason: ${reason}`;
    actions.push(event(state, "Normal", "SuccessfulRescale", message));
  } else if (proposal?.problem) {
    actions.push(event(state, "Warning", proposal.problem.reason, proposal.problem.message));
  }
  actions.push(...statusAction(horizontalPodAutoscalers, hpa, status));
  return { actions, againMs: PERIOD_MS };
}

export function failed(state: State, failure: Failure, now: number): Action[] {
  const { action, message: why } = failure;
  if (action.do !== "patch" || action.options?.subresource !== "scale") return [];
  const message = `the HPA controller was unable to update the target scale: ${why}`;
  const conditions = withCondition(state.hpa.status?.conditions, {
    type: "AbleToScale",
    status: "False",
    reason: "FailedUpdateScale",
    message,
    lastTransitionTime: timeText(now),
  });
  const status = { desiredReplicas: 0, ...state.hpa.status, conditions };
  return [
    event(state, "Warning", "FailedRescale", message),
    ...statusAction(horizontalPodAutoscalers, state.hpa, status),
  ];
}
