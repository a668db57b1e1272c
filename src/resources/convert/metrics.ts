/**
 * Metrics of autoscalers between autoscaling/v2 and the older form that autoscaling/v1 keeps as
 * text.
 */
import type {
  CrossVersionObjectReference,
  LabelSelector,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
  Quantity,
} from "#resources/types.gen.ts";

/** One source of a metric in the older form, all types of source together. */
interface OldSource {
  name?: string;
  container?: string;
  target?: CrossVersionObjectReference;
  metricName?: string;
  selector?: LabelSelector;
  metricSelector?: LabelSelector;
  averageValue?: Quantity;
  targetValue?: Quantity;
  targetAverageValue?: Quantity;
  targetAverageUtilization?: number;
  currentValue?: Quantity;
  currentAverageValue?: Quantity;
  currentAverageUtilization?: number;
}

type Sources = "object" | "pods" | "resource" | "containerResource" | "external";

export type OldMetric = { type: string } & Partial<Record<Sources, OldSource>>;

const NO_REFERENCE: CrossVersionObjectReference = { kind: "", name: "" };

type Loose<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]: Loose<T[K]> | undefined }
    : T;

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Fields without a value left out at every depth, as JSON has them. */
function filled<T>(value: Loose<T>): T {
  if (!isFields(value)) return value as T;
  const entries = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .map(([name, field]) => [name, filled(field as Loose<unknown>)]);
  return Object.fromEntries(entries) as T;
}

const metricOf = ({ metricName = "", selector, metricSelector }: OldSource) => ({
  metric: { name: metricName, selector: selector ?? metricSelector },
});

export function oldSpec(spec: MetricSpec): OldMetric {
  const { object, pods, resource, containerResource, external } = spec;
  const shares = (target: MetricTarget) => ({
    targetAverageUtilization: target.averageUtilization,
    targetAverageValue: target.averageValue,
  });
  return filled<OldMetric>({
    type: spec.type,
    object: object && {
      target: object.describedObject,
      metricName: object.metric.name,
      targetValue: object.target.value ?? "0",
      selector: object.metric.selector,
      averageValue: object.target.averageValue,
    },
    pods: pods && {
      metricName: pods.metric.name,
      targetAverageValue: pods.target.averageValue ?? "0",
      selector: pods.metric.selector,
    },
    resource: resource && { name: resource.name, ...shares(resource.target) },
    containerResource: containerResource && {
      name: containerResource.name,
      ...shares(containerResource.target),
      container: containerResource.container,
    },
    external: external && {
      metricName: external.metric.name,
      metricSelector: external.metric.selector,
      targetValue: external.target.value,
      targetAverageValue: external.target.averageValue,
    },
  });
}

const shareTarget = (source: OldSource): Loose<MetricTarget> => ({
  type: source.targetAverageUtilization === undefined ? "AverageValue" : "Utilization",
  averageValue: source.targetAverageValue,
  averageUtilization: source.targetAverageUtilization,
});

const objectTarget = ({ targetValue, averageValue }: OldSource): Loose<MetricTarget> => ({
  type: averageValue === undefined ? "Value" : "AverageValue",
  value: targetValue ?? "0",
  averageValue,
});

const externalTarget = ({ targetValue, targetAverageValue }: OldSource): Loose<MetricTarget> => ({
  type: targetValue === undefined ? "AverageValue" : "Value",
  value: targetValue,
  averageValue: targetAverageValue,
});

export function newSpec(old: OldMetric): MetricSpec {
  const { object, pods, resource, containerResource, external } = old;
  return filled<MetricSpec>({
    type: old.type,
    object: object && {
      describedObject: object.target ?? NO_REFERENCE,
      ...metricOf(object),
      target: objectTarget(object),
    },
    pods: pods && {
      ...metricOf(pods),
      target: { type: "AverageValue", averageValue: pods.targetAverageValue ?? "0" },
    },
    resource: resource && { name: resource.name ?? "", target: shareTarget(resource) },
    containerResource: containerResource && {
      name: containerResource.name ?? "",
      container: containerResource.container ?? "",
      target: shareTarget(containerResource),
    },
    external: external && { ...metricOf(external), target: externalTarget(external) },
  });
}

export function oldStatus(status: MetricStatus): OldMetric {
  const { object, pods, resource, containerResource, external } = status;
  const shares = (current: MetricValueStatus) => ({
    currentAverageUtilization: current.averageUtilization,
    currentAverageValue: current.averageValue ?? "0",
  });
  return filled<OldMetric>({
    type: status.type,
    object: object && {
      target: object.describedObject,
      metricName: object.metric.name,
      currentValue: object.current.value ?? "0",
      selector: object.metric.selector,
      averageValue: object.current.averageValue,
    },
    pods: pods && {
      metricName: pods.metric.name,
      currentAverageValue: pods.current.averageValue ?? "0",
      selector: pods.metric.selector,
    },
    resource: resource && { name: resource.name, ...shares(resource.current) },
    containerResource: containerResource && {
      name: containerResource.name,
      ...shares(containerResource.current),
      container: containerResource.container,
    },
    external: external && {
      metricName: external.metric.name,
      metricSelector: external.metric.selector,
      currentValue: external.current.value ?? "0",
      currentAverageValue: external.current.averageValue,
    },
  });
}

const shareCurrent = (source: OldSource): Loose<MetricValueStatus> => ({
  averageValue: source.currentAverageValue ?? "0",
  averageUtilization: source.currentAverageUtilization,
});

export function newStatus(old: OldMetric): MetricStatus {
  const { object, pods, resource, containerResource, external } = old;
  return filled<MetricStatus>({
    type: old.type,
    object: object && {
      describedObject: object.target ?? NO_REFERENCE,
      ...metricOf(object),
      current: { value: object.currentValue ?? "0", averageValue: object.averageValue },
    },
    pods: pods && {
      ...metricOf(pods),
      current: { averageValue: pods.currentAverageValue ?? "0" },
    },
    resource: resource && { name: resource.name ?? "", current: shareCurrent(resource) },
    containerResource: containerResource && {
      name: containerResource.name ?? "",
      container: containerResource.container ?? "",
      current: shareCurrent(containerResource),
    },
    external: external && {
      ...metricOf(external),
      current: {
        value: external.currentValue ?? "0",
        averageValue: external.currentAverageValue,
      },
    },
  });
}
