/** How long a Job waits before it tries a failed pod again: 10 s, doubled, at most 10 minutes. */
import { isTerminal } from "#controllers/common/pods.ts";
import { type Facts, failureCount, finishedMs, ignoredCount } from "#controllers/job/facts.ts";
import { hasFailed } from "#controllers/job/policy.ts";

const FIRST_MS = 10_000;
const LONGEST_MS = 600_000;

function left(failures: number, lastMs: number, now: number): number {
  if (failures === 0) return 0;
  const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(failures - 1, 20));
  return Math.max(0, lastMs + waitMs - now);
}

/** Milliseconds until the Job may make a pod again: by the failures since the last success. */
export function waitMs({ job, pods }: Facts, now: number): number {
  const ended = pods.filter((pod) => isTerminal(pod) || hasFailed(job, pod));
  const successes = ended.filter((pod) => pod.status?.phase === "Succeeded").map(finishedMs);
  const lastSuccess = Math.max(Number.NEGATIVE_INFINITY, ...successes);
  const failures = ended
    .filter((pod) => hasFailed(job, pod))
    .map(finishedMs)
    .filter((ms) => ms > lastSuccess);
  return left(failures.length, Math.max(0, ...failures), now);
}

/** The same for one index with its own limit. */
export function indexWaitMs({ held }: Facts, index: number, now: number): number {
  const pod = held.get(index);
  if (pod === undefined) return 0;
  return left(failureCount(pod) + ignoredCount(pod) + 1, finishedMs(pod), now);
}
