/**
 * autoscaling/v1 knows the share of CPU only. What else an autoscaler says travels in annotations
 * there, so that a client of v1 can read and write it back without loss.
 */
import {
  newSpec,
  newStatus,
  type OldMetric,
  oldSpec,
  oldStatus,
} from "#resources/convert/metrics.ts";
import { CPU_PERCENT, cpuMetric } from "#resources/defaults/autoscaler.ts";
import { definitions, type Schema } from "#resources/schema.ts";
import { checkShape } from "#resources/shape.ts";
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerBehavior,
  HorizontalPodAutoscalerCondition,
  HPAScalingRules,
  MetricSpec,
  MetricStatus,
} from "#resources/types.gen.ts";

type Old = HorizontalPodAutoscaler;
type New = AutoscalingV2HorizontalPodAutoscaler;

const PREFIX = "autoscaling.alpha.kubernetes.io/";
const METRICS = `${PREFIX}metrics`;
const CURRENT = `${PREFIX}current-metrics`;
const BEHAVIOR = `${PREFIX}behavior`;
const CONDITIONS = `${PREFIX}conditions`;
const TRAVELLING = [
  METRICS,
  CURRENT,
  BEHAVIOR,
  CONDITIONS,
  `${PREFIX}scale-down-tolerance`,
  `${PREFIX}scale-up-tolerance`,
];

const isCpu = (metric: MetricSpec | MetricStatus): boolean =>
  metric.type === "Resource" && metric.resource?.name === "cpu";

const cpuShare = (metric: MetricSpec): number | undefined =>
  isCpu(metric) ? metric.resource?.target.averageUtilization : undefined;

/** Annotations without those that only carry another version's fields. */
function ownAnnotations(annotations: Record<string, string> = {}): Record<string, string> {
  const entries = Object.entries(annotations).filter(([name]) => !TRAVELLING.includes(name));
  return Object.fromEntries(entries);
}

function withAnnotations<T extends Old | New>(object: T, annotations: Record<string, string>): T {
  const { annotations: _, ...metadata } = object.metadata ?? {};
  if (Object.keys(annotations).length === 0) return { ...object, metadata };
  return { ...object, metadata: { ...metadata, annotations } };
}

/** The rules under the names that the annotation has always had: those of Go's fields. */
const capitalRules = (rules: HPAScalingRules | undefined) =>
  rules === undefined
    ? null
    : {
        StabilizationWindowSeconds: rules.stabilizationWindowSeconds ?? null,
        SelectPolicy: rules.selectPolicy ?? null,
        Policies:
          rules.policies?.map(({ type, value, periodSeconds }) => ({
            Type: type,
            Value: value,
            PeriodSeconds: periodSeconds,
          })) ?? null,
        Tolerance: rules.tolerance ?? null,
      };

const capitalBehavior = ({ scaleUp, scaleDown }: HorizontalPodAutoscalerBehavior) => ({
  ScaleUp: capitalRules(scaleUp),
  ScaleDown: capitalRules(scaleDown),
});

/** Names as JSON has them again, values that are null left out. */
function uncapital(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(uncapital);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value)
    .filter(([, field]) => field !== null)
    .map(([name, field]) => [name.slice(0, 1).toLowerCase() + name.slice(1), uncapital(field)]);
  return Object.fromEntries(entries);
}

/** An annotation's value if it can be read and is of the shape that it must be; else nothing. */
function travelled<T>(
  object: Old,
  annotation: string,
  schema: Schema,
  made: (read: unknown) => unknown,
): T | undefined {
  const text = object.metadata?.annotations?.[annotation];
  if (text === undefined) return;
  try {
    const value = made(JSON.parse(text));
    return checkShape(value, schema).causes.length === 0 ? (value as T) : undefined;
  } catch {
    return;
  }
}

const ofNew = (name: string): Schema =>
  definitions()[`io.k8s.api.autoscaling.v2.${name}`] ?? { type: "object" };

const listOf = (name: string): Schema => ({ type: "array", items: ofNew(name) });

const each =
  <T>(change: (old: OldMetric) => T) =>
  (read: unknown): T[] =>
    (read as OldMetric[]).map(change);

function statusToOld(status: NonNullable<New["status"]>): NonNullable<Old["status"]> {
  const { currentMetrics = [], conditions: _, ...rest } = status;
  const share = currentMetrics.findLast(
    (metric) => isCpu(metric) && metric.resource?.current.averageUtilization !== undefined,
  )?.resource?.current.averageUtilization;
  return {
    ...rest,
    currentReplicas: status.currentReplicas ?? 0,
    ...(share !== undefined && { currentCPUUtilizationPercentage: share }),
  };
}

export function autoscalerToOld(object: New): Old {
  const { metadata, spec, status } = object;
  const metrics = spec?.metrics ?? [];
  const others = metrics.filter((metric) => cpuShare(metric) === undefined);
  const annotations = ownAnnotations(metadata?.annotations);
  const put = (name: string, value: unknown) => {
    annotations[name] = JSON.stringify(value);
  };
  if (others.length > 0) put(METRICS, others.map(oldSpec));
  if ((status?.currentMetrics ?? []).length > 0) {
    put(CURRENT, status?.currentMetrics?.map(oldStatus));
  }
  if (spec?.behavior) put(BEHAVIOR, capitalBehavior(spec.behavior));
  if ((status?.conditions ?? []).length > 0) put(CONDITIONS, status?.conditions);
  const share = metrics.map(cpuShare).find((percent) => percent !== undefined);
  const {
    metrics: _,
    behavior: __,
    ...kept
  } = spec ?? { maxReplicas: 0, scaleTargetRef: NO_TARGET };
  return withAnnotations<Old>(
    {
      ...object,
      apiVersion: "autoscaling/v1",
      spec: { ...kept, ...(share !== undefined && { targetCPUUtilizationPercentage: share }) },
      ...(status && { status: statusToOld(status) }),
    } as Old,
    annotations,
  );
}

const NO_TARGET = { kind: "", name: "" };

function specToNew(object: Old): NonNullable<New["spec"]> {
  const { targetCPUUtilizationPercentage: share, ...kept } = object.spec ?? {
    maxReplicas: 0,
    scaleTargetRef: NO_TARGET,
  };
  const others = travelled<MetricSpec[]>(object, METRICS, listOf("MetricSpec"), each(newSpec));
  const metrics = [...(others ?? []), ...(share === undefined ? [] : [cpuMetric(share)])];
  const behavior = travelled<HorizontalPodAutoscalerBehavior>(
    object,
    BEHAVIOR,
    ofNew("HorizontalPodAutoscalerBehavior"),
    uncapital,
  );
  return {
    ...kept,
    metrics: metrics.length === 0 ? [cpuMetric(CPU_PERCENT)] : metrics,
    ...(behavior && Object.keys(behavior).length > 0 && { behavior }),
  };
}

function statusToNew(object: Old): New["status"] {
  const { currentCPUUtilizationPercentage: share, ...kept } = object.status ?? {
    desiredReplicas: 0,
  };
  const own: MetricStatus[] =
    share === undefined
      ? []
      : [{ type: "Resource", resource: { name: "cpu", current: { averageUtilization: share } } }];
  const currentMetrics =
    travelled<MetricStatus[]>(object, CURRENT, listOf("MetricStatus"), each(newStatus)) ?? own;
  const conditions = travelled<HorizontalPodAutoscalerCondition[]>(
    object,
    CONDITIONS,
    listOf("HorizontalPodAutoscalerCondition"),
    (read) => read,
  );
  if (!object.status && currentMetrics.length === 0 && !conditions) return;
  return {
    ...kept,
    ...(currentMetrics.length > 0 && { currentMetrics }),
    ...(conditions && { conditions }),
  };
}

export function autoscalerToNew(object: Old): New {
  const status = statusToNew(object);
  return withAnnotations<New>(
    {
      ...object,
      apiVersion: "autoscaling/v2",
      spec: specToNew(object),
      ...(status && { status }),
    } as New,
    ownAnnotations(object.metadata?.annotations),
  );
}
