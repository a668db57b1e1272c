/** How fast, and how steadily, a target may be scaled (autoscaling/v2 `behavior`). Pure. */
import type { HPAScalingRules } from "#resources/types.gen.ts";

/** What was recommended, and when. */
export interface Recommendation {
  atMs: number;
  replicas: number;
}

/** What was changed, and when; `by` is positive upwards. */
export interface Change {
  atMs: number;
  by: number;
}

export interface History {
  recommendations: readonly Recommendation[];
  changes: readonly Change[];
}

export const DOWN_WINDOW_SECONDS = 300;

const UP: HPAScalingRules = {
  stabilizationWindowSeconds: 0,
  selectPolicy: "Max",
  policies: [
    { type: "Pods", value: 4, periodSeconds: 15 },
    { type: "Percent", value: 100, periodSeconds: 15 },
  ],
};

const DOWN: HPAScalingRules = {
  stabilizationWindowSeconds: DOWN_WINDOW_SECONDS,
  selectPolicy: "Max",
  policies: [{ type: "Percent", value: 100, periodSeconds: 15 }],
};

export interface Bounds {
  current: number;
  desired: number;
  min: number;
  max: number;
  scaleUp: HPAScalingRules | undefined;
  scaleDown: HPAScalingRules | undefined;
}

export interface Limited {
  replicas: number;
  stabilized: { is: boolean; reason: string; message: string };
  limited: { is: boolean; reason: string; message: string };
}

/** Between the lowest recent recommendation upwards and the highest recent one downwards. */
function stabilize(bounds: Bounds, history: History, now: number): number {
  const { current, desired } = bounds;
  const windowMs = (rules: HPAScalingRules | undefined, other: HPAScalingRules) =>
    (rules?.stabilizationWindowSeconds ?? other.stabilizationWindowSeconds ?? 0) * 1000;
  const upFrom = now - windowMs(bounds.scaleUp, UP);
  const downFrom = now - windowMs(bounds.scaleDown, DOWN);
  let lowest = desired;
  let highest = desired;
  for (const { atMs, replicas } of history.recommendations) {
    if (atMs > upFrom) lowest = Math.min(lowest, replicas);
    if (atMs > downFrom) highest = Math.max(highest, replicas);
  }
  return Math.min(Math.max(current, lowest), highest);
}

/** The farthest count that the policies allow now. */
function allowed(
  rules: HPAScalingRules,
  current: number,
  history: History,
  options: { up: boolean; now: number },
): number {
  const { up, now } = options;
  if (rules.selectPolicy === "Disabled") return current;
  const proposals = (rules.policies ?? []).map(({ type, value, periodSeconds }) => {
    const from = now - periodSeconds * 1000;
    const since = history.changes.filter(({ atMs }) => atMs > from);
    // As many as there were when the period began.
    const start = current - since.reduce((sum, { by }) => sum + by, 0);
    if (type === "Pods") return up ? start + value : start - value;
    const share = value / 100;
    return up ? Math.ceil(start * (1 + share)) : Math.trunc(start * (1 - share));
  });
  if (proposals.length === 0) return current;
  const far = (rules.selectPolicy === "Min") !== up;
  return far ? Math.max(...proposals) : Math.min(...proposals);
}

function limit(
  bounds: Bounds,
  wanted: number,
  history: History,
  now: number,
): Limited["limited"] & { replicas: number } {
  const { current, min, max } = bounds;
  if (wanted > current) {
    const rules = { ...UP, ...bounds.scaleUp };
    const fastest = Math.max(current, allowed(rules, current, history, { up: true, now }));
    const most = Math.min(max, fastest);
    if (wanted > most) {
      const slow = max > fastest;
      const reason = slow ? "ScaleUpLimit" : "TooManyReplicas";
      const message = slow
        ? "the desired replica count is increasing faster than the maximum scale rate"
        : "the desired replica count is more than the maximum replica count";
      return { replicas: most, is: true, reason, message };
    }
  } else if (wanted < current) {
    const rules = { ...DOWN, ...bounds.scaleDown };
    const fastest = Math.min(current, allowed(rules, current, history, { up: false, now }));
    const least = Math.max(min, fastest);
    if (wanted < least) {
      const slow = min < fastest;
      const reason = slow ? "ScaleDownLimit" : "TooFewReplicas";
      const message = slow
        ? "the desired replica count is decreasing faster than the maximum scale rate"
        : "the desired replica count is less than the minimum replica count";
      return { replicas: least, is: true, reason, message };
    }
  }
  const message = "the desired count is within the acceptable range";
  return { replicas: wanted, is: false, reason: "DesiredWithinRange", message };
}

export function behave(bounds: Bounds, history: History, now: number): Limited {
  const wanted = stabilize(bounds, history, now);
  const isStabilized = wanted !== bounds.desired;
  const upwards = bounds.desired >= bounds.current;
  const which = upwards
    ? "lower than current one, applying the lowest"
    : "higher than current one, applying the highest";
  const { replicas, ...limited } = limit(bounds, wanted, history, now);
  return {
    replicas,
    stabilized: {
      is: isStabilized,
      reason: isStabilized
        ? upwards
          ? "ScaleUpStabilized"
          : "ScaleDownStabilized"
        : "ReadyForNewScale",
      message: isStabilized
        ? `recent recommendations were ${which} recent recommendation`
        : "recommended size matches current size",
    },
    limited,
  };
}
