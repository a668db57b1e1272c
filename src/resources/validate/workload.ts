/** What workloads share: a selector, a template that it selects, and counts (apps validation). */
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { LabelSelector, PodTemplateSpec } from "#resources/types.gen.ts";
import { notNegative } from "#resources/validate/basic.ts";
import { checkTemplate } from "#resources/validate/podspec.ts";
import { checkSelector, shownMap, shownSelector } from "#resources/validate/selector.ts";

const isEmpty = (selector: LabelSelector): boolean =>
  Object.keys(selector.matchLabels ?? {}).length + (selector.matchExpressions ?? []).length === 0;

/**
 * A selector that says nothing selects everything, which no workload may; `kind` as errors name it.
 */
export const checkNotEmpty = (selector: LabelSelector, kind: string, path: string): Cause[] =>
  isEmpty(selector)
    ? [invalid(path, shownSelector(selector), `empty selector is invalid for ${kind}`)]
    : [];

/** A selector that must be there and say something. */
export const checkOwnSelector = (
  selector: LabelSelector | undefined,
  kind: string,
  path: string,
): Cause[] =>
  selector
    ? [...checkSelector(selector, path), ...checkNotEmpty(selector, kind, path)]
    : [required(path)];

/** The pods that a template makes must be those that the selector selects. */
export function checkSelected(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  path: string,
): Cause[] {
  if (selector && (isEmpty(selector) || checkSelector(selector, path).length > 0)) return [];
  const labels = template?.metadata?.labels;
  if (selector && matchLabelSelector(selector)(labels ?? {})) return [];
  const detail = "`selector` does not match template `labels`";
  return [invalid(`${path}.metadata.labels`, shownMap(labels) ?? null, detail)];
}

/** A selector that cannot be used is named once more, and the template is not looked at. */
export function checkSelectedTemplate(
  selector: LabelSelector | undefined,
  template: PodTemplateSpec | undefined,
  { kind, detail }: { kind: string; detail: string },
): Cause[] {
  if (selector && checkSelector(selector, "").length > 0) {
    return [invalid("spec.selector", shownSelector(selector), detail)];
  }
  return [
    ...checkSelected(selector, template, "spec.template"),
    ...checkLastingTemplate(template, kind, "spec.template"),
  ];
}

/** The template of pods that always run again; `kind` as errors name it. */
export function checkLastingTemplate(
  template: PodTemplateSpec | undefined,
  kind: string,
  path: string,
): Cause[] {
  const causes = checkTemplate(template, path);
  const { restartPolicy, activeDeadlineSeconds } = template?.spec ?? {};
  if (restartPolicy !== "Always") {
    causes.push(notSupported(`${path}.spec.restartPolicy`, restartPolicy ?? "", ["Always"]));
  }
  if (activeDeadlineSeconds !== undefined) {
    const detail = `activeDeadlineSeconds in ${kind} is not Supported`;
    causes.push(forbidden(`${path}.spec.activeDeadlineSeconds`, detail));
  }
  return causes;
}

/** Numbers of an object that may not be negative. */
export const counts = <T extends object>(
  object: T,
  fields: ReadonlyArray<keyof T & string>,
  path: string,
): Cause[] =>
  fields.flatMap((field) => {
    const value = object[field];
    return typeof value === "number" ? notNegative(value, `${path}.${field}`) : [];
  });

interface ReplicaStatus {
  replicas?: number;
  readyReplicas?: number;
  availableReplicas?: number;
  collisionCount?: number;
  observedGeneration?: number;
  unavailableReplicas?: number;
}

/** Parts are not more than the whole. */
export function checkReplicaStatus<T extends ReplicaStatus>(
  status: T,
  parts: ReadonlyArray<keyof T & string>,
): Cause[] {
  const whole = status.replicas ?? 0;
  const others = ["collisionCount", "observedGeneration", "unavailableReplicas"] as const;
  const causes = counts(status, ["replicas", ...others, ...parts], "status");
  for (const part of parts) {
    const value = status[part];
    if (typeof value !== "number" || value <= whole) continue;
    causes.push(invalid(`status.${part}`, value, "cannot be greater than status.replicas"));
  }
  const { readyReplicas = 0, availableReplicas = 0 } = status;
  if (availableReplicas > readyReplicas) {
    const detail = "cannot be greater than readyReplicas";
    causes.push(invalid("status.availableReplicas", availableReplicas, detail));
  }
  return causes;
}
