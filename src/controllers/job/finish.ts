/** Whether a Job is at its end, and with which condition. */
import { conditionOf } from "#controllers/common/conditions.ts";
import { timeMs, timeText } from "#controllers/common/time.ts";
import { completionsOf, type Facts, isIndexed } from "#controllers/job/facts.ts";
import { hasFailed, judge, metSuccess } from "#controllers/job/policy.ts";
import type { Job, JobCondition } from "#resources/types.gen.ts";

export const isSuspended = (job: Job): boolean => job.spec?.suspend === true;

export function isFinished(job: Job): boolean {
  return (job.status?.conditions ?? []).some(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  );
}

export function jobCondition(type: string, reason: string, message: string, now: number) {
  const time = timeText(now);
  const status = "True";
  return { type, status, reason, message, lastProbeTime: time, lastTransitionTime: time };
}

function restarts({ job, pods }: Facts): boolean {
  if (job.spec?.template?.spec?.restartPolicy !== "OnFailure") return false;
  let total = 0;
  for (const { status } of pods) {
    if (status?.phase !== "Running" && status?.phase !== "Pending") continue;
    for (const one of [
      ...(status.initContainerStatuses ?? []),
      ...(status.containerStatuses ?? []),
    ]) {
      total += one.restartCount;
    }
  }
  const limit = job.spec.backoffLimit ?? 6;
  return limit === 0 ? total > 0 : total >= limit;
}

/** Milliseconds until activeDeadlineSeconds are over; undefined without a deadline. */
export function deadlineInMs(job: Job, now: number): number | undefined {
  const seconds = job.spec?.activeDeadlineSeconds;
  const start = timeMs(job.status?.startTime);
  if (seconds === undefined || isSuspended(job)) return undefined;
  return (start ?? now) + seconds * 1000 - now;
}

function failure(facts: Facts, now: number): JobCondition | undefined {
  const { job, pods } = facts;
  const made = (reason: string, message: string) =>
    jobCondition("FailureTarget", reason, message, now);
  for (const pod of job.spec?.podFailurePolicy ? pods : []) {
    const why = hasFailed(job, pod) ? judge(job, pod).failsJob : undefined;
    if (why !== undefined) return made("PodFailurePolicy", why);
  }
  if (facts.failed > (job.spec?.backoffLimit ?? 6) || restarts(facts)) {
    return made("BackoffLimitExceeded", "Job has reached the specified backoff limit");
  }
  const deadline = deadlineInMs(job, now);
  if (deadline !== undefined && deadline <= 0) {
    return made("DeadlineExceeded", "Job was active longer than specified deadline");
  }
  const { failedIndexes, done } = facts;
  if (failedIndexes === undefined) return undefined;
  const most = job.spec?.maxFailedIndexes;
  if (most !== undefined && failedIndexes.size > most) {
    const message = "Job has exceeded the specified maximal number of failed indexes";
    return made("MaxFailedIndexesExceeded", message);
  }
  if (failedIndexes.size > 0 && failedIndexes.size + done.size >= completionsOf(job)) {
    return made("FailedIndexes", "Job has failed indexes");
  }
  return undefined;
}

/**
 * The interim condition that ends the Job (FailureTarget, SuccessCriteriaMet): from an earlier run,
 * or because of what the pods say now.
 */
export function endOf(facts: Facts, now: number): JobCondition | undefined {
  const { job } = facts;
  for (const type of ["SuccessCriteriaMet", "FailureTarget"]) {
    const known = conditionOf(job.status?.conditions, type);
    if (known?.status === "True") return known;
  }
  const failed = failure(facts, now);
  if (failed !== undefined) return failed;
  const met = isIndexed(job) ? metSuccess(job, facts.done) : undefined;
  if (met === undefined) return undefined;
  return jobCondition("SuccessCriteriaMet", "SuccessPolicy", met, now);
}

/** Enough pods succeeded and none runs any more. */
export function completion(facts: Facts, active: number, now: number): JobCondition | undefined {
  const { job, succeeded } = facts;
  const enough =
    job.spec?.completions === undefined ? succeeded > 0 : succeeded >= job.spec.completions;
  if (!enough || active > 0) return undefined;
  const message = "Reached expected number of succeeded pods";
  return jobCondition("SuccessCriteriaMet", "CompletionsReached", message, now);
}
