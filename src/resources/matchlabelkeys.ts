/**
 * `matchLabelKeys` and `mismatchLabelKeys` become requirements of the selector beside them when a
 * pod is created (KEP-3243, KEP-3633), so that the scheduler reads selectors only.
 */
import type {
  LabelSelector,
  Pod,
  PodAffinity,
  PodAffinityTerm,
  PodAntiAffinity,
} from "#resources/types.gen.ts";

type Labels = Readonly<Record<string, string>>;

function merge(
  selector: LabelSelector,
  keys: readonly string[],
  operator: "In" | "NotIn",
  labels: Labels,
): void {
  for (const key of keys) {
    const value = labels[key];
    if (value === undefined) continue;
    selector.matchExpressions ??= [];
    selector.matchExpressions.push({ key, operator, values: [value] });
  }
}

function mergeTerm(term: PodAffinityTerm, labels: Labels): void {
  // No selector selects nothing, with or without more keys.
  if (!term.labelSelector) return;
  merge(term.labelSelector, term.matchLabelKeys ?? [], "In", labels);
  merge(term.labelSelector, term.mismatchLabelKeys ?? [], "NotIn", labels);
}

function mergeAffinity(affinity: PodAffinity | PodAntiAffinity | undefined, labels: Labels): void {
  for (const preferred of affinity?.preferredDuringSchedulingIgnoredDuringExecution ?? []) {
    if (preferred.podAffinityTerm) mergeTerm(preferred.podAffinityTerm, labels);
  }
  for (const term of affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? []) {
    mergeTerm(term, labels);
  }
}

export function mergeLabelKeys(pod: Pod): void {
  const labels = pod.metadata?.labels ?? {};
  mergeAffinity(pod.spec?.affinity?.podAffinity, labels);
  mergeAffinity(pod.spec?.affinity?.podAntiAffinity, labels);
  for (const constraint of pod.spec?.topologySpreadConstraints ?? []) {
    if (!constraint.labelSelector) continue;
    merge(constraint.labelSelector, constraint.matchLabelKeys ?? [], "In", labels);
  }
}
