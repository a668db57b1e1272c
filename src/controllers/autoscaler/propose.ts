/** The replica count that all metrics of an autoscaler together ask for. Pure. */

import { messageOf } from "#base/errors.ts";
import {
  type Demand,
  demand,
  isWithin,
  type Sample,
  type Tolerance,
} from "#controllers/autoscaler/ratio.ts";
import { isReady } from "#controllers/common/pods.ts";
import type { Stored } from "#resources/meta.ts";
import { milliValue } from "#resources/quantity.ts";
import type {
  AutoscalingV2HorizontalPodAutoscaler,
  MetricSpec,
  MetricStatus,
  MetricTarget,
  MetricValueStatus,
  Pod,
} from "#resources/types.gen.ts";

/** What was read for one metric of the spec. */
export type Reading =
  | { samples: ReadonlyMap<string, Sample> }
  | { total: number }
  | { error: string };

export interface Proposal {
  /** Undefined where no decision can be made. */
  replicas: number | undefined;
  /** The metric that asks for most. */
  metric: string;
  statuses: MetricStatus[];
  /** Reason and message of the first metric that could not be used. */
  problem?: { reason: string; message: string };
}

export interface ProposeOptions {
  hpa: Stored<AutoscalingV2HorizontalPodAutoscaler>;
  pods: ReadonlyArray<Stored<Pod>>;
  current: number;
  statusReplicas: number;
  readings: readonly Reading[];
  now: number;
}

const TOLERANCE = 0.1;

function toleranceOf(hpa: AutoscalingV2HorizontalPodAutoscaler): Tolerance {
  const { scaleUp, scaleDown } = hpa.spec?.behavior ?? {};
  const of = (text: string | undefined) =>
    text === undefined ? TOLERANCE : milliValue(text) / 1000;
  return { up: of(scaleUp?.tolerance), down: of(scaleDown?.tolerance) };
}

/** Thousandths as a quantity. */
const milli = (value: number): string => {
  const whole = Math.round(value);
  return whole % 1000 === 0 ? String(whole / 1000) : `${whole}m`;
};

/** What the pod, or one container of it, asks of a resource; throws where it asks for nothing. */
function requestOf(pod: Stored<Pod>, resource: string, container: string | undefined): number {
  const whole = pod.spec?.resources?.requests?.[resource];
  if (container === undefined && whole !== undefined) return milliValue(whole);
  const all = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []).filter(({ restartPolicy }) => restartPolicy === "Always"),
  ].filter(({ name }) => container === undefined || name === container);
  const { name } = pod.metadata;
  if (all.length === 0) throw new Error(`container ${container} not found in Pod ${name}`);
  let sum = 0;
  for (const one of all) {
    const request = one.resources?.requests?.[resource];
    if (request === undefined) {
      throw new Error(`missing request for ${resource} in container ${one.name} of Pod ${name}`);
    }
    sum += milliValue(request);
  }
  return sum;
}

interface Answer {
  replicas: number;
  current: MetricValueStatus;
  name: string;
}

function byResource(
  options: ProposeOptions,
  source: { name: string; target: MetricTarget; container?: string },
  samples: ReadonlyMap<string, Sample>,
): Answer {
  const { pods, current, now } = options;
  const { name: resource, target, container } = source;
  const base = {
    pods,
    samples,
    current,
    tolerance: toleranceOf(options.hpa),
    cpu: resource === "cpu",
    now,
  };
  const label = container === undefined ? `${resource} resource` : `${resource} container resource`;
  if (target.averageValue !== undefined) {
    const wanted = milliValue(target.averageValue);
    const found = demand({ ...base, target: () => wanted, assumed: () => wanted });
    return {
      replicas: found.replicas,
      current: { averageValue: milli(found.average) },
      name: label,
    };
  }
  const percent = target.averageUtilization ?? 80;
  const requests = new Map(
    pods.map((pod) => [pod.metadata.name, requestOf(pod, resource, container)]),
  );
  const share = (name: string, part: number) => ((requests.get(name) ?? 0) * part) / 100;
  const found: Demand = demand({
    ...base,
    target: (name) => share(name, percent),
    assumed: (name) => share(name, Math.max(100, percent)),
  });
  return {
    replicas: found.replicas,
    current: {
      averageUtilization: Math.trunc(found.ratio * percent),
      averageValue: milli(found.average),
    },
    name: `${label} utilization (percentage of request)`,
  };
}

function byPods(
  options: ProposeOptions,
  target: MetricTarget,
  samples: ReadonlyMap<string, Sample>,
) {
  const wanted = milliValue(target.averageValue ?? "0");
  return demand({
    ...options,
    samples,
    tolerance: toleranceOf(options.hpa),
    cpu: false,
    target: () => wanted,
    assumed: () => wanted,
  });
}

/** A value of one object, or of the outside: compared as a whole, or as a share of each replica. */
function byTotal(
  options: ProposeOptions,
  target: MetricTarget,
  total: number,
): Omit<Answer, "name"> {
  const { current, statusReplicas, pods } = options;
  const tolerance = toleranceOf(options.hpa);
  if (target.averageValue !== undefined) {
    const wanted = milliValue(target.averageValue);
    const within = isWithin(total / (wanted * statusReplicas), tolerance);
    const average = statusReplicas === 0 ? total : Math.ceil(total / statusReplicas);
    return {
      replicas: within ? statusReplicas : Math.ceil(total / wanted),
      current: { averageValue: milli(average) },
    };
  }
  const ratio = total / milliValue(target.value ?? "0");
  const value = { value: milli(total) };
  if (current === 0) return { replicas: Math.ceil(ratio), current: value };
  if (isWithin(ratio, tolerance)) return { replicas: current, current: value };
  const ready = pods.filter((pod) => pod.status?.phase === "Running" && isReady(pod)).length;
  return { replicas: Math.ceil(ratio * ready), current: value };
}

const REASONS: Readonly<Record<string, string>> = {
  Resource: "FailedGetResourceMetric",
  ContainerResource: "FailedGetContainerResourceMetric",
  Pods: "FailedGetPodsMetric",
  Object: "FailedGetObjectMetric",
  External: "FailedGetExternalMetric",
};

function answer(
  spec: MetricSpec,
  reading: Reading,
  options: ProposeOptions,
): [Answer, MetricStatus] {
  if ("error" in reading) throw new Error(reading.error);
  const { type, resource, containerResource, pods, object, external } = spec;
  if ("samples" in reading) {
    if (resource) {
      const found = byResource(options, resource, reading.samples);
      return [found, { type, resource: { name: resource.name, current: found.current } }];
    }
    if (containerResource) {
      const found = byResource(options, containerResource, reading.samples);
      const { name, container } = containerResource;
      return [found, { type, containerResource: { name, container, current: found.current } }];
    }
    if (pods) {
      const { replicas, average } = byPods(options, pods.target, reading.samples);
      const current = { averageValue: milli(average) };
      const name = `pods metric ${pods.metric.name}`;
      return [
        { replicas, current, name },
        { type, pods: { metric: pods.metric, current } },
      ];
    }
  } else if (object) {
    const found = byTotal(options, object.target, reading.total);
    const { metric, describedObject } = object;
    const name = `${describedObject.kind} metric ${metric.name}`;
    const { current } = found;
    return [
      { ...found, name },
      { type, object: { metric, describedObject, current } },
    ];
  } else if (external) {
    const found = byTotal(options, external.target, reading.total);
    const { metric } = external;
    const name = `external metric ${metric.name}(${JSON.stringify(metric.selector ?? null)})`;
    return [
      { ...found, name },
      { type, external: { metric, current: found.current } },
    ];
  }
  throw new Error(`unknown metric source type "${type}"`);
}

export function propose(options: ProposeOptions): Proposal {
  const { hpa, readings, current } = options;
  const specs = hpa.spec?.metrics ?? [];
  const statuses: MetricStatus[] = [];
  let replicas: number | undefined;
  let metric = "";
  let failed = 0;
  let problem: Proposal["problem"];
  for (const [i, spec] of specs.entries()) {
    try {
      const [found, status] = answer(spec, readings[i] ?? { error: "not read" }, options);
      statuses.push(status);
      if (replicas === undefined || found.replicas > replicas) {
        replicas = found.replicas;
        metric = found.name;
      }
    } catch (error) {
      failed++;
      const message = `the HPA was unable to compute the replica count: ${messageOf(error)}`;
      problem ??= { reason: REASONS[spec.type] ?? "InvalidMetricSourceType", message };
    }
  }
  const blind = failed >= specs.length || (failed > 0 && (replicas ?? 0) < current);
  return {
    // A metric that is missing may have asked for more: nothing is taken away then.
    replicas: blind ? undefined : replicas,
    metric,
    statuses,
    ...(blind && problem && { problem }),
  };
}
