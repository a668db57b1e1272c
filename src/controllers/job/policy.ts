/**
 * What a failed pod means for its Job (kubernetes.io/docs/concepts/workloads/controllers/job: pod
 * failure policy, success policy).
 */
import { parseIndexes } from "#controllers/job/indexes.ts";
import type { Stored } from "#resources/meta.ts";
import type { ContainerStatus, Job, Pod, PodFailurePolicyRule } from "#resources/types.gen.ts";

export interface Verdict {
  /** Counts against a back-off limit. */
  counts: boolean;
  failsIndex: boolean;
  /** Why the whole Job fails. */
  failsJob?: string;
}

const PLAIN: Verdict = { counts: true, failsIndex: false };

function exitedLike(pod: Pod, rule: PodFailurePolicyRule): ContainerStatus | undefined {
  const wanted = rule.onExitCodes;
  if (wanted === undefined) return undefined;
  const all = [
    ...(pod.status?.containerStatuses ?? []),
    ...(pod.status?.initContainerStatuses ?? []),
  ];
  return all.find(({ name, state }) => {
    const code = state?.terminated?.exitCode ?? 0;
    if (code === 0) return false;
    if (wanted.containerName !== undefined && wanted.containerName !== name) return false;
    return wanted.values.includes(code) === (wanted.operator === "In");
  });
}

function verdictOf(rule: PodFailurePolicyRule, why: string): Verdict {
  if (rule.action === "Ignore") return { counts: false, failsIndex: false };
  if (rule.action === "FailIndex") return { counts: true, failsIndex: true };
  return rule.action === "FailJob" ? { counts: true, failsIndex: false, failsJob: why } : PLAIN;
}

/** By the first rule that matches. */
export function judge(job: Job, pod: Stored<Pod>): Verdict {
  const name = `${pod.metadata.namespace}/${pod.metadata.name}`;
  for (const [i, rule] of (job.spec?.podFailurePolicy?.rules ?? []).entries()) {
    const at = `matching ${rule.action} rule at index ${i}`;
    const container = exitedLike(pod, rule);
    if (container !== undefined) {
      const code = container.state?.terminated?.exitCode;
      const why = `Container ${container.name} for pod ${name} failed with exit code ${code} ${at}`;
      return verdictOf(rule, why);
    }
    const condition = (pod.status?.conditions ?? []).find(({ type, status }) =>
      rule.onPodConditions?.some((one) => one.type === type && (one.status ?? "True") === status),
    );
    if (condition !== undefined) {
      return verdictOf(rule, `Pod ${name} has condition ${condition.type} ${at}`);
    }
  }
  return PLAIN;
}

/** Pods are replaced only once they are Failed, not already when they are being deleted. */
export const replacesFailedOnly = (job: Job): boolean =>
  job.spec?.podReplacementPolicy === "Failed" || job.spec?.podFailurePolicy !== undefined;

export function hasFailed(job: Job, pod: Stored<Pod>): boolean {
  if (pod.status?.phase === "Failed") return true;
  if (replacesFailedOnly(job)) return false;
  return pod.metadata.deletionTimestamp !== undefined && pod.status?.phase !== "Succeeded";
}

/** Which rule of the success policy is met, as the message says it. */
export function metSuccess(job: Job, succeeded: ReadonlySet<number>): string | undefined {
  if (succeeded.size === 0) return undefined;
  const completions = job.spec?.completions ?? 0;
  for (const [i, rule] of (job.spec?.successPolicy?.rules ?? []).entries()) {
    const wanted =
      rule.succeededIndexes === undefined
        ? undefined
        : parseIndexes(rule.succeededIndexes, completions);
    if (wanted?.size === 0) continue;
    const done = wanted === undefined ? succeeded.size : wanted.intersection(succeeded).size;
    if (wanted === undefined && rule.succeededCount === undefined) continue;
    if (done >= (rule.succeededCount ?? wanted?.size ?? 0)) return `Matched rules at index ${i}`;
  }
  return undefined;
}
