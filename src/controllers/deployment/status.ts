/**
 * What a Deployment tells of itself: counts, availability, and whether the rollout makes progress.
 */
import { conditionOf, withCondition, withoutCondition } from "#controllers/common/conditions.ts";
import { timeMs, timeText } from "#controllers/common/time.ts";
import { type Draft, sum } from "#controllers/deployment/draft.ts";
import type { Bounds } from "#controllers/deployment/rollout.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  Deployment,
  DeploymentCondition,
  DeploymentStatus,
  ReplicaSetStatus,
} from "#resources/types.gen.ts";

export interface StatusOptions {
  deployment: Stored<Deployment>;
  bounds: Bounds;
  fresh: Draft | undefined;
  old: readonly Draft[];
  /** Estimate progress: in a rollout, not while scaling or paused. */
  rollout: boolean;
  now: number;
}

/** `progressDeadlineSeconds` of this and above means none (math.MaxInt32 upstream). */
const NO_DEADLINE = 0x7fffffff;

const deadlineSeconds = (deployment: Deployment): number | undefined => {
  const seconds = deployment.spec?.progressDeadlineSeconds;
  return seconds === undefined || seconds >= NO_DEADLINE ? undefined : seconds;
};

function made(type: string, status: string, reason: string, message: string, now: number) {
  const time = timeText(now);
  return { type, status, reason, message, lastUpdateTime: time, lastTransitionTime: time };
}

const counted = (drafts: readonly Draft[], field: keyof ReplicaSetStatus): number =>
  sum(drafts, (draft) => Number(draft.set?.status?.[field] ?? 0));

/** Complete: all replicas are of the current template and available, and the spec was seen. */
export function isComplete(deployment: Stored<Deployment>, status: DeploymentStatus): boolean {
  const desired = deployment.spec?.replicas ?? 1;
  return (
    (status.updatedReplicas ?? 0) === desired &&
    (status.replicas ?? 0) === desired &&
    (status.availableReplicas ?? 0) === desired &&
    (status.observedGeneration ?? 0) >= (deployment.metadata.generation ?? 0)
  );
}

function madeProgress(before: DeploymentStatus, after: DeploymentStatus): boolean {
  const old = (status: DeploymentStatus) => (status.replicas ?? 0) - (status.updatedReplicas ?? 0);
  return (
    (after.updatedReplicas ?? 0) > (before.updatedReplicas ?? 0) ||
    old(after) < old(before) ||
    (after.readyReplicas ?? 0) > (before.readyReplicas ?? 0) ||
    (after.availableReplicas ?? 0) > (before.availableReplicas ?? 0)
  );
}

/** Pausing stops the clock of the deadline, resuming starts it anew. */
function pausedConditions(deployment: Stored<Deployment>, now: number): DeploymentCondition[] {
  const conditions = deployment.status?.conditions ?? [];
  const known = conditionOf(conditions, "Progressing");
  if (deadlineSeconds(deployment) === undefined) return [...conditions];
  if (known?.reason === "ProgressDeadlineExceeded") return [...conditions];
  const paused = deployment.spec?.paused === true;
  const was = known?.reason === "DeploymentPaused";
  if (paused === was) return [...conditions];
  const [reason, message] = paused
    ? ["DeploymentPaused", "Deployment is paused"]
    : ["DeploymentResumed", "Deployment is resumed"];
  return withCondition(conditions, made("Progressing", "Unknown", reason, message, now));
}

/** The set of the template was made, or found: the deadline counts from here. */
function startConditions(
  options: StatusOptions,
  before: DeploymentCondition[],
): DeploymentCondition[] {
  const { deployment, fresh, now } = options;
  if (fresh === undefined || deadlineSeconds(deployment) === undefined) return before;
  if (fresh.fresh !== undefined) {
    const message = `Created new replica set "${fresh.name}"`;
    const condition = made("Progressing", "True", "NewReplicaSetCreated", message, now);
    return withCondition(before, condition);
  }
  if (conditionOf(before, "Progressing") !== undefined) return before;
  const message = `Found new replica set "${fresh.name}"`;
  return withCondition(before, made("Progressing", "True", "FoundNewReplicaSet", message, now));
}

function hasTimedOut(options: StatusOptions, condition: DeploymentCondition | undefined): boolean {
  const seconds = deadlineSeconds(options.deployment);
  if (condition === undefined || seconds === undefined) return false;
  if (condition.reason === "NewReplicaSetAvailable") return false;
  if (condition.reason === "ProgressDeadlineExceeded") return true;
  const from = timeMs(condition.lastUpdateTime) ?? options.now;
  return from + seconds * 1000 < options.now;
}

function progressConditions(
  options: StatusOptions,
  before: DeploymentCondition[],
  status: DeploymentStatus,
): DeploymentCondition[] {
  const { deployment, fresh, now } = options;
  if (deadlineSeconds(deployment) === undefined) return withoutCondition(before, "Progressing");
  const known = conditionOf(before, "Progressing");
  const settled =
    (status.replicas ?? 0) === (status.updatedReplicas ?? 0) &&
    known?.reason === "NewReplicaSetAvailable";
  if (settled) return before;
  const what =
    fresh === undefined ? `Deployment "${deployment.metadata.name}"` : `ReplicaSet "${fresh.name}"`;
  if (isComplete(deployment, status)) {
    const message = `${what} has successfully progressed.`;
    return withCondition(
      before,
      made("Progressing", "True", "NewReplicaSetAvailable", message, now),
    );
  }
  if (madeProgress(deployment.status ?? {}, status)) {
    const message = `${what} is progressing.`;
    const next = made("Progressing", "True", "ReplicaSetUpdated", message, now);
    // Progress renews lastUpdateTime though status and reason stay: the deadline counts from it.
    if (known?.status === "True" && known.lastTransitionTime !== undefined) {
      next.lastTransitionTime = known.lastTransitionTime;
    }
    return [...withoutCondition(before, "Progressing"), next];
  }
  if (hasTimedOut(options, known)) {
    const message = `${what} has timed out progressing.`;
    return withCondition(
      before,
      made("Progressing", "False", "ProgressDeadlineExceeded", message, now),
    );
  }
  return before;
}

function failureConditions(
  options: StatusOptions,
  before: DeploymentCondition[],
): DeploymentCondition[] {
  const sets = [...(options.fresh === undefined ? [] : [options.fresh]), ...options.old];
  for (const { set } of sets) {
    const failure = conditionOf(set?.status?.conditions, "ReplicaFailure");
    if (failure === undefined) continue;
    const time = failure.lastTransitionTime ?? timeText(options.now);
    return withCondition(before, { ...failure, lastTransitionTime: time, lastUpdateTime: time });
  }
  return withoutCondition(before, "ReplicaFailure");
}

/** The status, and when to look again whether the rollout is stuck. */
export function statusOf(options: StatusOptions): { status: DeploymentStatus; againMs?: number } {
  const { deployment, bounds, fresh, old, now } = options;
  const all = [...old, ...(fresh === undefined ? [] : [fresh])];
  const available = counted(all, "availableReplicas");
  const counts = {
    observedGeneration: deployment.metadata.generation ?? 0,
    replicas: counted(all, "replicas"),
    updatedReplicas: fresh === undefined ? 0 : counted([fresh], "replicas"),
    readyReplicas: counted(all, "readyReplicas"),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(all, (draft) => draft.replicas) - available),
    collisionCount: deployment.status?.collisionCount ?? 0,
  };
  const status: DeploymentStatus = Object.fromEntries(
    Object.entries(counts).filter(([, value]) => value !== 0),
  );
  let conditions = startConditions(options, pausedConditions(deployment, now));
  conditions = withCondition(
    conditions,
    available >= bounds.desired - bounds.maxUnavailable
      ? made(
          "Available",
          "True",
          "MinimumReplicasAvailable",
          "Deployment has minimum availability.",
          now,
        )
      : made(
          "Available",
          "False",
          "MinimumReplicasUnavailable",
          "Deployment does not have minimum availability.",
          now,
        ),
  );
  if (options.rollout) conditions = progressConditions(options, conditions, status);
  conditions = failureConditions(options, conditions);
  status.conditions = conditions;
  const again = options.rollout ? deadlineInMs(options, status) : undefined;
  return again === undefined ? { status } : { status, againMs: again };
}

function deadlineInMs(options: StatusOptions, status: DeploymentStatus): number | undefined {
  const condition = conditionOf(status.conditions, "Progressing");
  const seconds = deadlineSeconds(options.deployment);
  if (condition === undefined || seconds === undefined) return undefined;
  if (isComplete(options.deployment, status)) return undefined;
  if (condition.reason === "ProgressDeadlineExceeded") return undefined;
  const from = timeMs(condition.lastUpdateTime) ?? options.now;
  // A second more, as the times of conditions have no fractions.
  return Math.max(0, from + seconds * 1000 - options.now) + 1000;
}
