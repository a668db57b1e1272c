/** What the pods of a Job amount to: counted before, new, and not counted yet. */

import { isActive, isReady, isTerminal } from "#controllers/common/pods.ts";
import { deletionOrder } from "#controllers/common/rank.ts";
import { timeMs } from "#controllers/common/time.ts";
import { indexOf, parseIndexes } from "#controllers/job/indexes.ts";
import { hasFailed, judge } from "#controllers/job/policy.ts";
import type { Stored } from "#resources/meta.ts";
import type { Job, Pod } from "#resources/types.gen.ts";

/** Keeps a pod's object until its end is counted in the Job's status. */
export const TRACKING = "batch.kubernetes.io/job-tracking";
export const FAILURE_COUNT = "batch.kubernetes.io/job-index-failure-count";
export const IGNORED_COUNT = "batch.kubernetes.io/job-index-ignored-failure-count";

export const isTracked = (pod: Pod): boolean =>
  pod.metadata?.finalizers?.includes(TRACKING) === true;

export const isIndexed = (job: Job): boolean => job.spec?.completionMode === "Indexed";

export interface Facts {
  job: Stored<Job>;
  pods: ReadonlyArray<Stored<Pod>>;
  active: Array<Stored<Pod>>;
  ready: number;
  /** Being deleted and not ended. */
  terminating: number;
  succeeded: number;
  failed: number;
  /** Of an Indexed Job; empty otherwise. */
  doneBefore: Set<number>;
  done: Set<number>;
  failedIndexes: Set<number> | undefined;
  /** The last failed pod of an index that has none running: it carries the count of failures. */
  held: Map<number, Stored<Pod>>;
}

export const completionsOf = (job: Job): number => job.spec?.completions ?? 0;

const numberIn = (pod: Pod, annotation: string): number => {
  const text = pod.metadata?.annotations?.[annotation];
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : 0;
};

export const failureCount = (pod: Pod): number => numberIn(pod, FAILURE_COUNT);
export const ignoredCount = (pod: Pod): number => numberIn(pod, IGNORED_COUNT);

/** When a pod ended, as well as it can be told. */
export function finishedMs(pod: Stored<Pod>): number {
  const sidecars = new Set(
    (pod.spec?.initContainers ?? [])
      .filter(({ restartPolicy }) => restartPolicy === "Always")
      .map(({ name }) => name),
  );
  const containers = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []).filter(({ name }) => sidecars.has(name)),
  ];
  const ends = containers.map(({ state }) => timeMs(state?.terminated?.finishedAt));
  if (ends.length > 0 && ends.every((end) => end !== undefined)) return Math.max(...ends);
  const ready = pod.status?.conditions?.find(({ type }) => type === "Ready");
  const notReady = ready?.status === "False" ? timeMs(ready.lastTransitionTime) : undefined;
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, creationTimestamp } = pod.metadata;
  const deleted = timeMs(deletionTimestamp);
  const asked = deleted === undefined ? undefined : deleted - deletionGracePeriodSeconds * 1000;
  return notReady ?? asked ?? timeMs(creationTimestamp) ?? 0;
}

function heldPods(facts: Facts): Map<number, Stored<Pod>> {
  const { job, pods } = facts;
  const held = new Map<number, Stored<Pod>>();
  if (job.spec?.backoffLimitPerIndex === undefined) return held;
  const running = new Set(facts.active.map((pod) => indexOf(pod, completionsOf(job))));
  for (const pod of pods) {
    const index = indexOf(pod, completionsOf(job));
    if (index === undefined || !isTracked(pod) || !hasFailed(job, pod)) continue;
    if (facts.done.has(index) || facts.failedIndexes?.has(index) || running.has(index)) continue;
    const other = held.get(index);
    const total = (one: Pod) => failureCount(one) + ignoredCount(one);
    const later =
      other === undefined || (total(pod) >= total(other) && finishedMs(pod) >= finishedMs(other));
    if (later) held.set(index, pod);
  }
  return held;
}

function failsItsIndex(job: Stored<Job>, pod: Stored<Pod>): boolean {
  if (!hasFailed(job, pod)) return false;
  const verdict = judge(job, pod);
  if (verdict.failsIndex) return true;
  return verdict.counts && failureCount(pod) >= (job.spec?.backoffLimitPerIndex ?? 0);
}

export function factsOf(job: Stored<Job>, pods: ReadonlyArray<Stored<Pod>>): Facts {
  const completions = completionsOf(job);
  const uncounted = job.status?.uncountedTerminatedPods ?? {};
  const [goodUids, badUids] = [new Set(uncounted.succeeded), new Set(uncounted.failed)];
  const valid = (pod: Stored<Pod>): boolean =>
    isTracked(pod) && (!isIndexed(job) || indexOf(pod, completions) !== undefined);
  const fresh = pods.filter(valid);
  const good = fresh.filter(
    (pod) => pod.status?.phase === "Succeeded" && !goodUids.has(pod.metadata.uid),
  );
  const bad = fresh.filter((pod) => hasFailed(job, pod) && !badUids.has(pod.metadata.uid));
  const active = pods.filter(isActive);
  const doneBefore = isIndexed(job)
    ? parseIndexes(job.status?.completedIndexes, completions)
    : new Set<number>();
  const done = new Set(doneBefore);
  if (isIndexed(job)) for (const pod of good) done.add(indexOf(pod, completions) ?? 0);
  const facts: Facts = {
    job,
    pods,
    active,
    ready: active.filter(isReady).length,
    terminating: pods.filter((pod) => pod.metadata.deletionTimestamp && !isTerminal(pod)).length,
    succeeded: isIndexed(job)
      ? done.size
      : (job.status?.succeeded ?? 0) + good.length + goodUids.size,
    failed:
      (job.status?.failed ?? 0) + bad.filter((pod) => judge(job, pod).counts).length + badUids.size,
    doneBefore,
    done,
    failedIndexes: undefined,
    held: new Map(),
  };
  if (isIndexed(job) && job.spec?.backoffLimitPerIndex !== undefined) {
    const failed = parseIndexes(job.status?.failedIndexes, completions);
    for (const pod of fresh) {
      if (failsItsIndex(job, pod)) failed.add(indexOf(pod, completions) ?? 0);
    }
    facts.failedIndexes = failed;
  }
  facts.held = heldPods(facts);
  return facts;
}

/** Active pods to delete: doubles of an index first, then at least so many of the rest. */
export function surplusPods(facts: Facts, atLeast: number, now: number): Array<Stored<Pod>> {
  const { job, active } = facts;
  const ordered = deletionOrder(active, new Map(), now);
  if (!isIndexed(job)) return ordered.slice(0, atLeast);
  const kept = new Map<number, Stored<Pod>>();
  const gone: Array<Stored<Pod>> = [];
  // The last one in the order is the one to keep.
  for (const pod of ordered) {
    const index = indexOf(pod, completionsOf(job));
    if (index === undefined) {
      gone.push(pod);
      continue;
    }
    const before = kept.get(index);
    if (before !== undefined) gone.push(before);
    kept.set(index, pod);
  }
  const rest = ordered.filter((pod) => !gone.includes(pod));
  return [...gone, ...rest.slice(0, Math.max(0, atLeast - gone.length))];
}
