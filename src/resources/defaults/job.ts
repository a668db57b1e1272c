import { defaultTemplate } from "#resources/defaults/podspec.ts";
import type { JobSpec } from "#resources/types.gen.ts";

const INT32_MAX = 2 ** 31 - 1;

/** Kubernetes API reference, JobSpec v1. */
export function defaultJobSpec(spec: JobSpec): void {
  // Neither given: one pod. Only parallelism given: a work queue without a number of completions.
  if (spec.parallelism === undefined) spec.completions ??= 1;
  spec.parallelism ??= 1;
  spec.backoffLimit ??= spec.backoffLimitPerIndex === undefined ? 6 : INT32_MAX;
  spec.completionMode ??= "NonIndexed";
  spec.suspend ??= false;
  spec.podReplacementPolicy ??= spec.podFailurePolicy ? "Failed" : "TerminatingOrFailed";
  spec.manualSelector ??= false;
  for (const rule of spec.podFailurePolicy?.rules ?? []) {
    for (const pattern of rule.onPodConditions ?? []) pattern.status ||= "True";
  }
  defaultTemplate(spec);
}
