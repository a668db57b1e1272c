/** HorizontalPodAutoscalers (autoscaling validation; "Horizontal Pod Autoscaling"). */
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import { compareQuantity } from "#resources/quantity.ts";
import type {
  AutoscalingV2CrossVersionObjectReference,
  AutoscalingV2HorizontalPodAutoscaler,
  HPAScalingRules,
  MetricSpec,
  MetricTarget,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  notNegative,
  positive,
  present,
  requiredByRule,
  supported,
} from "#resources/validate/basic.ts";
import { checkContainerResourceName } from "#resources/validate/resources.ts";
import { labelErrors, pathErrors } from "#resources/validate/text.ts";

const WINDOW_SECONDS_MAX = 3600;
const PERIOD_SECONDS_MAX = 1800;
const TYPES = ["ContainerResource", "External", "Object", "Pods", "Resource"];
const TARGET_TYPES = ["Utilization", "Value", "AverageValue"];

/** Fields of a metric by its type. */
const SOURCES = {
  Object: "object",
  External: "external",
  Pods: "pods",
  Resource: "resource",
  ContainerResource: "containerResource",
} as const;

type SourceName = (typeof SOURCES)[keyof typeof SOURCES];

type Reference = Partial<AutoscalingV2CrossVersionObjectReference>;

/** `group/version`; a version alone is of the core group. */
function apiVersionErrors(version: string, core: boolean): string[] {
  if (version.split("/").length > 2) return [`unexpected GroupVersion string: ${version}`];
  const group = version.includes("/") ? version.slice(0, version.indexOf("/")) : "";
  return core || group !== "" ? [] : ["apiVersion must specify API group"];
}

const referenceCauses = (reference: Reference | undefined, path: string): Cause[] => [
  ...requiredByRule(pathErrors, reference?.kind, `${path}.kind`),
  ...requiredByRule(pathErrors, reference?.name, `${path}.name`),
];

/** What was scaled before may go on to be, whatever its version is. */
function targetReference(reference: Reference | undefined, old: Reference | undefined): Cause[] {
  const path = "spec.scaleTargetRef";
  const { kind, apiVersion = "" } = reference ?? {};
  const causes = referenceCauses(reference, path);
  if (old && (old.apiVersion ?? "") === apiVersion && old.kind === kind) return causes;
  const core = kind === "ReplicationController";
  return [
    ...causes,
    ...byRule((version) => apiVersionErrors(version, core), apiVersion, `${path}.apiVersion`),
  ];
}

function positiveQuantity(quantity: string | undefined, path: string): Cause[] {
  try {
    if (quantity === undefined || compareQuantity(quantity, "0") > 0) return [];
  } catch {
    // No quantity at all is not positive either.
  }
  return [invalid(path, quantity, "must be positive")];
}

function targetCauses(target: MetricTarget | undefined, path: string): Cause[] {
  const { type = "", value, averageValue, averageUtilization } = target ?? {};
  const causes = type ? [] : [required(`${path}.type`, "must specify a metric target type")];
  if (!TARGET_TYPES.includes(type)) {
    const detail = "must be either Utilization, Value, or AverageValue";
    causes.push(invalid(`${path}.type`, type, detail));
  }
  causes.push(
    ...positiveQuantity(value, `${path}.value`),
    ...positiveQuantity(averageValue, `${path}.averageValue`),
  );
  if (averageUtilization !== undefined && averageUtilization < 1) {
    const at = `${path}.averageUtilization`;
    causes.push(invalid(at, averageUtilization, "must be greater than 0"));
  }
  return causes;
}

/** A resource is measured as a value or as a share, never both. */
function resourceTarget(target: MetricTarget | undefined, path: string): Cause[] {
  const causes = targetCauses(target, path);
  const share = target?.averageUtilization !== undefined;
  const value = target?.averageValue !== undefined;
  if (!share && !value) {
    const detail = "must set either a target raw value or a target utilization";
    causes.push(required(`${path}.averageUtilization`, detail));
  }
  if (share && value) {
    const detail = "may not set both a target raw value and a target utilization";
    causes.push(forbidden(`${path}.averageValue`, detail));
  }
  return causes;
}

const metricName = (name: string | undefined, path: string): Cause[] =>
  name ? byRule(pathErrors, name, path) : [required(path, "must specify a metric name")];

/** Of something outside the pods: a value for all of them, or for each. */
function valueTarget(target: MetricTarget | undefined, path: string, either: string): Cause[] {
  const causes = targetCauses(target, path);
  if (target?.value !== undefined || target?.averageValue !== undefined) return causes;
  return [...causes, required(`${path}.averageValue`, `must set either ${either}`)];
}

const OF_ALL_OR_EACH = "a target value for metric and a per-pod target";

function externalTarget(target: MetricTarget | undefined, path: string): Cause[] {
  const either = OF_ALL_OR_EACH.replace(" and ", " or ");
  const causes = valueTarget(target, path, either);
  if (target?.value === undefined || target.averageValue === undefined) return causes;
  return [...causes, forbidden(`${path}.value`, `may not set both ${OF_ALL_OR_EACH}`)];
}

const CHECKS: Readonly<Record<SourceName, (metric: MetricSpec, path: string) => Cause[]>> = {
  object: ({ object }, path) => [
    ...referenceCauses(object?.describedObject, `${path}.describedObject`),
    ...byRule(
      (version) => apiVersionErrors(version, true),
      object?.describedObject?.apiVersion,
      `${path}.describedObject.apiVersion`,
    ),
    ...metricName(object?.metric?.name, `${path}.metric.name`),
    ...valueTarget(object?.target, `${path}.target`, "a target value or averageValue"),
  ],
  external: ({ external }, path) => [
    ...metricName(external?.metric?.name, `${path}.metric.name`),
    ...externalTarget(external?.target, `${path}.target`),
  ],
  pods: ({ pods }, path) => [
    ...metricName(pods?.metric?.name, `${path}.metric.name`),
    ...targetCauses(pods?.target, `${path}.target`),
    ...present(
      pods?.target?.averageValue,
      `${path}.target.averageValue`,
      "must specify a positive target averageValue",
    ),
  ],
  resource: ({ resource }, path) => [
    ...present(resource?.name, `${path}.name`, "must specify a resource name"),
    ...resourceTarget(resource?.target, `${path}.target`),
  ],
  containerResource: ({ containerResource }, path) => [
    ...(containerResource?.name
      ? checkContainerResourceName(containerResource.name, `${path}.name`)
      : [required(`${path}.name`, "must specify a resource name")]),
    ...(containerResource?.container
      ? byRule(labelErrors, containerResource.container, `${path}.container`)
      : [required(`${path}.container`, "must specify a container")]),
    ...resourceTarget(containerResource?.target, `${path}.target`),
  ],
};

function metricCauses(metric: MetricSpec, path: string): Cause[] {
  const { type = "" } = metric;
  const expected = SOURCES[type as keyof typeof SOURCES];
  const causes: Cause[] = [];
  if (!type) causes.push(required(`${path}.type`, "must specify a metric source type"));
  if (expected === undefined) causes.push(notSupported(`${path}.type`, type, TYPES));
  const found = Object.values(SOURCES).filter((name) => metric[name]);
  const [first] = found;
  if (first !== undefined) causes.push(...CHECKS[first](metric, `${path}.${first}`));
  if (expected !== undefined && !metric[expected]) {
    const detail = "must populate information for the given metric source";
    causes.push(required(`${path}.${expected}`, detail));
  }
  if (found.length === 1) return causes;
  const others = found.filter((name) => name !== expected);
  const detail = "must populate the given metric source only";
  return [...causes, ...others.map((name) => forbidden(`${path}.${name}`, detail))];
}

function rulesCauses(rules: HPAScalingRules | undefined, path: string): Cause[] {
  if (!rules) return [];
  const { stabilizationWindowSeconds: seconds, policies = [] } = rules;
  const at = `${path}.stabilizationWindowSeconds`;
  const causes: Cause[] = [];
  if (seconds !== undefined && seconds < 0) {
    causes.push(invalid(at, seconds, "must be greater than or equal to zero"));
  }
  if (seconds !== undefined && seconds > WINDOW_SECONDS_MAX) {
    causes.push(invalid(at, seconds, `must be less than or equal to ${WINDOW_SECONDS_MAX}`));
  }
  causes.push(...supported(rules.selectPolicy, ["Disabled", "Max", "Min"], `${path}.selectPolicy`));
  if (policies.length === 0) {
    causes.push(required(`${path}.policies`, "must specify at least one Policy"));
  }
  const found = each(policies, `${path}.policies`, (policy, index) => {
    const period = `${index}.periodSeconds`;
    const long = policy.periodSeconds > PERIOD_SECONDS_MAX;
    const detail = `must be less than or equal to ${PERIOD_SECONDS_MAX}`;
    return [
      ...supported(policy.type ?? "", ["Percent", "Pods"], `${index}.type`),
      ...positive(policy.value, `${index}.value`),
      ...positive(policy.periodSeconds, period),
      ...(long ? [invalid(period, policy.periodSeconds, detail)] : []),
    ];
  });
  return [...causes, ...found];
}

export function validateAutoscaler(
  autoscaler: AutoscalingV2HorizontalPodAutoscaler,
  old: AutoscalingV2HorizontalPodAutoscaler | undefined,
  subresource?: string,
): Cause[] {
  const { status } = autoscaler;
  if (subresource === "status") {
    return [
      ...notNegative(status?.currentReplicas, "status.currentReplicas"),
      ...notNegative(status?.desiredReplicas, "status.desiredReplicas"),
    ];
  }
  const { spec } = autoscaler;
  const min = spec?.minReplicas;
  const max = spec?.maxReplicas ?? 0;
  const causes: Cause[] = [];
  const least = old?.spec?.minReplicas === 0 ? 0 : 1;
  if (min !== undefined && min < least) {
    causes.push(invalid("spec.minReplicas", min, `must be greater than or equal to ${least}`));
  }
  if (max < 1) causes.push(invalid("spec.maxReplicas", max, "must be greater than 0"));
  if (min !== undefined && max < min) {
    const detail = "must be greater than or equal to `minReplicas`";
    causes.push(invalid("spec.maxReplicas", max, detail));
  }
  const metrics = each(spec?.metrics, "spec.metrics", metricCauses);
  const outside = spec?.metrics?.some(({ type }) => type === "Object" || type === "External");
  if (min === 0 && !outside) {
    const detail =
      "must specify at least one Object or External metric to support scaling to zero replicas";
    metrics.push(forbidden("spec.metrics", detail));
  }
  return [
    ...causes,
    ...targetReference(spec?.scaleTargetRef, old?.spec?.scaleTargetRef),
    ...metrics,
    ...rulesCauses(spec?.behavior?.scaleUp, "spec.behavior.scaleUp"),
    ...rulesCauses(spec?.behavior?.scaleDown, "spec.behavior.scaleDown"),
  ];
}
