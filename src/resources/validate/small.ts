/** Kinds with a rule or two: priorities, runtimes, leases, budgets, templates. */
import { type Cause, duplicate, forbidden, invalid, required } from "#resources/field.ts";
import { checkLabels } from "#resources/names.ts";
import type {
  Lease,
  PodDisruptionBudget,
  PodTemplate,
  PriorityClass,
  ReplicationController,
  RuntimeClass,
  Toleration,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  notNegative,
  requiredWord,
  supported,
} from "#resources/validate/basic.ts";
import { checkAtMostAll, checkIntOrPercent } from "#resources/validate/intorpercent.ts";
import { checkTemplate } from "#resources/validate/podspec.ts";
import { checkRequirements } from "#resources/validate/resources.ts";
import { checkTolerations } from "#resources/validate/scheduling.ts";
import { checkSelector, shownMap } from "#resources/validate/selector.ts";
import { shownAs } from "#resources/validate/shown.ts";
import { checkConditions } from "#resources/validate/status.ts";
import { labelErrors } from "#resources/validate/text.ts";
import { checkLastingTemplate, checkReplicaStatus, counts } from "#resources/validate/workload.ts";

const USER_PRIORITY_MAX = 1_000_000_000;
const SYSTEM_PRIORITIES: Readonly<Record<string, number>> = {
  "system-node-critical": 2_000_001_000,
  "system-cluster-critical": 2_000_000_000,
};

function systemCauses(priority: PriorityClass, name: string): Cause[] {
  const intro =
    "priority class names with 'system-' prefix are reserved for system use only. error:";
  const value = SYSTEM_PRIORITIES[name];
  const error =
    value === undefined
      ? `${name} is not a known system priority class`
      : value !== priority.value
        ? `value of ${name} PriorityClass must be ${value}`
        : priority.globalDefault === true
          ? `globalDefault of ${name} PriorityClass must be false`
          : undefined;
  return error === undefined ? [] : [forbidden("metadata.name", `${intro} ${error}`)];
}

export function validatePriorityClass(
  priority: PriorityClass,
  old: PriorityClass | undefined,
): Cause[] {
  const { preemptionPolicy, value = 0 } = priority;
  if (old) {
    return [
      ...(value === old.value ? [] : [forbidden("value", "may not be changed in an update.")]),
      ...immutable(preemptionPolicy, old.preemptionPolicy, "preemptionPolicy"),
    ];
  }
  const name = priority.metadata?.name ?? "";
  const causes = name.startsWith("system-") ? systemCauses(priority, name) : [];
  if (!name.startsWith("system-") && value > USER_PRIORITY_MAX) {
    const detail = `maximum allowed value of a user defined priority is ${USER_PRIORITY_MAX}`;
    causes.push(forbidden("value", detail));
  }
  const policies = ["PreemptLowerPriority", "Never"];
  if (preemptionPolicy === undefined) return causes;
  return [...causes, ...requiredWord(preemptionPolicy, policies, "preemptionPolicy")];
}

const TOLERATION_FIELDS = ["Key", "Operator", "Value", "Effect", "TolerationSeconds"];

function twiceCauses(tolerations: readonly Toleration[] | undefined): Cause[] {
  const seen = new Set<string>();
  return each(tolerations, "scheduling.tolerations", (toleration, at) => {
    const { key = "", operator = "", value = "", effect = "" } = toleration;
    const words = { key, operator, value, effect };
    const text = JSON.stringify(words);
    if (!seen.has(text)) {
      seen.add(text);
      return [];
    }
    return [duplicate(at, shownAs({ ...toleration, ...words }, TOLERATION_FIELDS))];
  });
}

export function validateRuntimeClass(
  runtime: RuntimeClass,
  old: RuntimeClass | undefined,
): Cause[] {
  const changes = old ? immutable(runtime.handler, old.handler, "handler") : [];
  const { overhead, scheduling } = runtime;
  const limits = overhead?.podFixed;
  return [
    ...byRule(labelErrors, runtime.handler ?? "", "handler"),
    ...(limits ? checkRequirements({ limits }, new Set(), "overhead") : []),
    ...checkLabels(scheduling?.nodeSelector, "scheduling.nodeSelector"),
    // Upstream names the list twice.
    ...checkTolerations(scheduling?.tolerations, "scheduling.tolerations.tolerations"),
    ...twiceCauses(scheduling?.tolerations),
    ...changes,
  ];
}

export function validateLease(lease: Lease): Cause[] {
  const { leaseDurationSeconds, leaseTransitions, preferredHolder, strategy } = lease.spec ?? {};
  const causes = notNegative(leaseTransitions, "spec.leaseTransitions");
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) {
    const at = "spec.leaseDurationSeconds";
    causes.push(invalid(at, leaseDurationSeconds, "must be greater than 0"));
  }
  if (preferredHolder && !strategy) {
    const detail = "may only be specified if `strategy` is defined";
    causes.push(forbidden("spec.preferredHolder", detail));
  }
  return causes;
}

const BUDGET_FIELDS = ["MinAvailable", "Selector", "MaxUnavailable", "UnhealthyPodEvictionPolicy"];

export function validateBudget(
  budget: PodDisruptionBudget,
  _old: PodDisruptionBudget | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const fields = [
      "disruptionsAllowed",
      "currentHealthy",
      "desiredHealthy",
      "expectedPods",
    ] as const;
    const { status } = budget;
    if (!status) return [];
    return [
      ...checkConditions(status.conditions, "status.conditions"),
      ...counts(status, fields, "status"),
    ];
  }
  const { spec = {} } = budget;
  const { minAvailable, maxUnavailable, unhealthyPodEvictionPolicy: policy } = spec;
  const causes: Cause[] = [];
  if (minAvailable !== undefined && maxUnavailable !== undefined) {
    const shown = shownAs(spec, BUDGET_FIELDS);
    causes.push(invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set"));
  }
  const policies = ["AlwaysAllow", "IfHealthyBudget"];
  return [
    ...causes,
    ...checkIntOrPercent(minAvailable, "spec.minAvailable"),
    ...checkAtMostAll(minAvailable, "spec.minAvailable"),
    ...checkIntOrPercent(maxUnavailable, "spec.maxUnavailable"),
    ...checkAtMostAll(maxUnavailable, "spec.maxUnavailable"),
    ...checkSelector(spec.selector, "spec.selector"),
    ...supported(policy, policies, "spec.unhealthyPodEvictionPolicy"),
  ];
}

export const validatePodTemplate = (holder: PodTemplate): Cause[] =>
  checkTemplate(holder.template, "template");

type Labels = Readonly<Record<string, string>>;

function selectedCauses(selector: Labels, labels: Labels | undefined): Cause[] {
  if (Object.entries(selector).every(([key, value]) => labels?.[key] === value)) return [];
  const detail = "`selector` does not match template `labels`";
  return [invalid("spec.template.metadata.labels", shownMap(labels) ?? null, detail)];
}

export function validateReplicationController(
  controller: ReplicationController,
  _old: ReplicationController | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const parts = ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] as const;
    return checkReplicaStatus(controller.status ?? { replicas: 0 }, parts);
  }
  const { spec = {} } = controller;
  const { selector = {}, template } = spec;
  const empty = Object.keys(selector).length === 0;
  return [
    ...counts(spec, ["minReadySeconds", "replicas"], "spec"),
    ...(empty ? [required("spec.selector")] : []),
    ...(template
      ? [
          ...selectedCauses(selector, template.metadata?.labels),
          ...checkLastingTemplate(template, "ReplicationController", "spec.template"),
        ]
      : [required("spec.template")]),
  ];
}
