/**
 * Counts the ends of pods: first the status names them as not yet counted, then their finalizers
 * go, then the status counts them. Whatever is cut off in between is taken up again, nothing is
 * counted twice.
 */
import type { Action } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { statusAction } from "#controllers/common/patch.ts";
import { timeText } from "#controllers/common/time.ts";
import { completionsOf, type Facts, isIndexed, isTracked } from "#controllers/job/facts.ts";
import { jobCondition } from "#controllers/job/finish.ts";
import { indexesText, indexOf } from "#controllers/job/indexes.ts";
import { untrack } from "#controllers/job/pods.ts";
import { hasFailed, judge } from "#controllers/job/policy.ts";
import { jobs } from "#resources/kinds/job.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  JobCondition,
  JobStatus,
  Pod,
  UncountedTerminatedPods,
} from "#resources/types.gen.ts";

interface Counts {
  active: number;
  ready: number;
  terminating: number;
}

export interface TrackOptions {
  facts: Facts;
  /** Counts while the ends are named. */
  present: Counts;
  /** Counts after this run's changes. */
  change: Counts;
  /** The interim condition that ends the Job. */
  finish: JobCondition | undefined;
  conditions: JobCondition[];
  startTime: string | undefined;
  now: number;
}

/** Pods counted in one run, so that the status stays small. */
const UNCOUNTED_MAX = 500;

interface Ledger {
  succeeded: string[];
  failed: string[];
  done: Set<number>;
  release: Array<Stored<Pod>>;
  more: boolean;
}

function mayRelease(options: TrackOptions, pod: Stored<Pod>): boolean {
  const { facts, finish } = options;
  const { job, held } = facts;
  if (job.metadata.deletionTimestamp !== undefined || finish !== undefined) return true;
  if (pod.status?.phase === "Succeeded") return true;
  if (!hasFailed(job, pod)) return false;
  const index = indexOf(pod, completionsOf(job));
  // Its replacement takes the count of failures over from it.
  return index === undefined || held.get(index) !== pod;
}

function count(options: TrackOptions): Ledger {
  const { facts, finish } = options;
  const { job, pods } = facts;
  const known = job.status?.uncountedTerminatedPods ?? {};
  const tracked = pods.filter(isTracked);
  const uids = new Set(tracked.map((pod) => pod.metadata.uid));
  const ledger: Ledger = {
    // Those whose finalizer is gone are counted below.
    succeeded: (known.succeeded ?? []).filter((uid) => uids.has(uid)),
    failed: (known.failed ?? []).filter((uid) => uids.has(uid)),
    done: new Set(facts.doneBefore),
    release: [],
    more: false,
  };
  const [good, bad] = [new Set(ledger.succeeded), new Set(ledger.failed)];
  const failing = finish !== undefined && finish.type !== "SuccessCriteriaMet";
  for (const pod of tracked) {
    if (!mayRelease(options, pod)) continue;
    if (ledger.release.length >= UNCOUNTED_MAX) {
      ledger.more = true;
      break;
    }
    ledger.release.push(pod);
    const { uid } = pod.metadata;
    const index = indexOf(pod, completionsOf(job));
    const valid = !isIndexed(job) || index !== undefined;
    if (pod.status?.phase === "Succeeded" && !bad.has(uid)) {
      if (index !== undefined && isIndexed(job)) ledger.done.add(index);
      else if (!isIndexed(job) && !good.has(uid)) ledger.succeeded.push(uid);
    } else if ((hasFailed(job, pod) || failing) && !bad.has(uid) && valid) {
      if (judge(job, pod).counts) ledger.failed.push(uid);
    }
  }
  return ledger;
}

function uncountedOf(succeeded: string[], failed: string[]): UncountedTerminatedPods {
  return {
    ...(succeeded.length > 0 && { succeeded }),
    ...(failed.length > 0 && { failed }),
  };
}

/** Counts of those that the last run named and whose finalizer is gone since. */
function counted(options: TrackOptions, ledger: Ledger): { succeeded: number; failed: number } {
  const { job } = options.facts;
  const known = job.status?.uncountedTerminatedPods ?? {};
  const gone = (before: string[] | undefined, left: string[]) =>
    (before ?? []).filter((uid) => !left.includes(uid)).length;
  const succeeded = (job.status?.succeeded ?? 0) + gone(known.succeeded, ledger.succeeded);
  return {
    succeeded: isIndexed(job) ? ledger.done.size : succeeded,
    failed: (job.status?.failed ?? 0) + gone(known.failed, ledger.failed),
  };
}

const FINAL: Readonly<Record<string, string>> = {
  SuccessCriteriaMet: "Complete",
  FailureTarget: "Failed",
};

interface End {
  status: JobStatus;
  events: Action[];
}

/** The last condition, once all is counted and no pod is on its way out. */
function ending(options: TrackOptions, status: JobStatus): End {
  const { facts, finish, change, now } = options;
  const { job } = facts;
  if (finish === undefined || change.terminating > 0) return { status, events: [] };
  const type = FINAL[finish.type] ?? finish.type;
  const { reason = "", message = "" } = finish;
  const conditions = withCondition(status.conditions, jobCondition(type, reason, message, now));
  const event = (kind: "Normal" | "Warning", why: string, text: string): Action => {
    return { do: "event", about: job, type: kind, reason: why, message: text };
  };
  if (type === "Failed") {
    return { status: { ...status, conditions }, events: [event("Warning", reason, message)] };
  }
  const completionTime = timeText(now);
  const events = [event("Normal", "Completed", "Job completed")];
  return { status: { ...status, conditions, completionTime }, events };
}

/** Zeros are left out but for `ready` and `terminating`, which upstream always tells. */
function trimmed(status: JobStatus): JobStatus {
  const { succeeded, failed, active, ...rest } = status;
  return {
    ...rest,
    ...(active && { active }),
    ...(succeeded && { succeeded }),
    ...(failed && { failed }),
  };
}

export interface Tracked {
  /** Names the ends and lets their pods go. */
  naming: Action[];
  /** Counts them. */
  counting: Action[];
}

const counts = ({ active, ready, terminating }: Counts) => ({ active, ready, terminating });

export function track(options: TrackOptions): Tracked {
  const { facts, change, finish, startTime } = options;
  const { job, failedIndexes } = facts;
  const ledger = count(options);
  const before = counted(options, ledger);
  const conditions =
    finish === undefined ? options.conditions : withCondition(options.conditions, finish);
  const { uncountedTerminatedPods: known = {}, ...old } = job.status ?? {};
  const named: JobStatus = trimmed({
    ...old,
    ...(startTime !== undefined && { startTime }),
    ...(conditions.length > 0 && { conditions }),
    ...counts(options.present),
    ...before,
    ...(isIndexed(job) && ledger.done.size > 0 && { completedIndexes: indexesText(ledger.done) }),
    ...(failedIndexes !== undefined && { failedIndexes: indexesText(failedIndexes) }),
    uncountedTerminatedPods: uncountedOf(ledger.succeeded, ledger.failed),
  });
  const all: JobStatus = trimmed({
    ...named,
    ...counts(change),
    succeeded: before.succeeded + ledger.succeeded.length,
    failed: before.failed + ledger.failed.length,
    uncountedTerminatedPods: {},
  });
  const released = ledger.release.map(untrack);
  const { status, events } = ledger.more ? { status: all, events: [] } : ending(options, all);
  // What was counted once is known from the status alone, so no older one may be gone on from.
  const guarded = { guarded: true };
  const uncounted = [...(known.succeeded ?? []), ...(known.failed ?? [])];
  if (released.length === 0 && uncounted.length === 0) {
    return { naming: [], counting: [...statusAction(jobs, job, status, guarded), ...events] };
  }
  const rest = statusAction(jobs, { ...job, status: named }, status);
  return {
    naming: [...statusAction(jobs, job, named, guarded), ...released],
    counting: [...rest, ...events],
  };
}
