/** Reads what an autoscaler's metrics say, from the metrics APIs where somebody serves them. */
import { messageOf } from "#base/errors.ts";
import type { Client } from "#client/client.ts";
import type { Reading } from "#controllers/autoscaler/propose.ts";
import type { Sample } from "#controllers/autoscaler/ratio.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import { milliValue } from "#resources/quantity.ts";
import { labelSelectorText } from "#resources/selector.ts";
import type { LabelSelector, MetricIdentifier, MetricSpec } from "#resources/types.gen.ts";

const RESOURCE = "/apis/metrics.k8s.io/v1beta1";
const CUSTOM = "/apis/custom.metrics.k8s.io/v1beta2";
const EXTERNAL = "/apis/external.metrics.k8s.io/v1beta1";
const WINDOW_MS = 60_000;

interface PodMetrics {
  metadata?: { name?: string };
  timestamp?: string;
  window?: string;
  containers?: Array<{ name?: string; usage?: Record<string, string> }>;
}

interface CustomValue {
  describedObject?: { name?: string };
  timestamp?: string;
  windowSeconds?: number;
  value?: string;
}

export interface ReadOptions {
  client: Client;
  namespace: string;
  /** Selector of the target's pods. */
  selector: string;
  /** Kinds that objects of metrics may be of. */
  kindOf: (kind: string, apiVersion: string | undefined) => Kind | undefined;
}

async function items<T>(client: Client, path: string, pairs: Record<string, string>): Promise<T[]> {
  const query = new URLSearchParams(Object.entries(pairs).filter(([, value]) => value !== ""));
  const body = await client.read(`${path}${query.size === 0 ? "" : `?${query}`}`);
  return ((body as { items?: T[] } | null)?.items ?? []) as T[];
}

const selectorText = (selector: LabelSelector | undefined): string =>
  selector === undefined ? "" : labelSelectorText(selector);

/** `30s`, `1m0s`. */
function windowMs(text: string | undefined): number {
  const [, minutes = "0", seconds = "0"] = /^(?:(\d+)m)?(?:([\d.]+)s)?$/.exec(text ?? "") ?? [];
  const ms = Number(minutes) * 60_000 + Number(seconds) * 1000;
  return ms > 0 ? ms : WINDOW_MS;
}

async function resourceSamples(
  options: ReadOptions,
  resource: string,
  container: string | undefined,
): Promise<Reading> {
  const { client, namespace, selector: labelSelector } = options;
  const path = `${RESOURCE}/namespaces/${namespace}/pods`;
  const samples = new Map<string, Sample>();
  for (const pod of await items<PodMetrics>(client, path, { labelSelector })) {
    const used = (pod.containers ?? []).filter(
      ({ name }) => container === undefined || name === container,
    );
    // A pod of which a container is missing is not measured.
    if (used.length === 0 || used.some(({ usage }) => usage?.[resource] === undefined)) continue;
    const value = used.reduce((sum, { usage }) => sum + milliValue(usage?.[resource] ?? 0), 0);
    const atMs = Date.parse(pod.timestamp ?? "") || 0;
    samples.set(pod.metadata?.name ?? "", { value, atMs, windowMs: windowMs(pod.window) });
  }
  if (samples.size === 0) return { error: `no metrics returned from resource metrics API` };
  return { samples };
}

async function podSamples(options: ReadOptions, metric: MetricIdentifier): Promise<Reading> {
  const { client, namespace, selector: labelSelector } = options;
  const path = `${CUSTOM}/namespaces/${namespace}/pods/*/${metric.name}`;
  const metricLabelSelector = selectorText(metric.selector);
  const found = await items<CustomValue>(client, path, { labelSelector, metricLabelSelector });
  const samples = new Map<string, Sample>();
  for (const { describedObject, timestamp, windowSeconds, value } of found) {
    samples.set(describedObject?.name ?? "", {
      value: milliValue(value ?? 0),
      atMs: Date.parse(timestamp ?? "") || 0,
      windowMs: (windowSeconds ?? 60) * 1000,
    });
  }
  return samples.size === 0
    ? { error: "no metrics returned from custom metrics API" }
    : { samples };
}

async function objectTotal(options: ReadOptions, spec: MetricSpec): Promise<Reading> {
  const { client, namespace, kindOf } = options;
  const { describedObject, metric } = spec.object ?? {};
  if (describedObject === undefined || metric === undefined) return { error: "no object named" };
  const kind = kindOf(describedObject.kind, describedObject.apiVersion);
  if (kind === undefined) return { error: `kind ${describedObject.kind} is not served` };
  const where = kind.namespaced ? `/namespaces/${namespace}` : "";
  const path = `${CUSTOM}${where}/${resourceOf(kind)}/${describedObject.name}/${metric.name}`;
  const metricLabelSelector = selectorText(metric.selector);
  const [first] = await items<CustomValue>(client, path, { metricLabelSelector });
  if (first === undefined) return { error: "no metrics returned from custom metrics API" };
  return { total: milliValue(first.value ?? 0) };
}

async function externalTotal(options: ReadOptions, metric: MetricIdentifier): Promise<Reading> {
  const { client, namespace } = options;
  const path = `${EXTERNAL}/namespaces/${namespace}/${metric.name}`;
  const labelSelector = selectorText(metric.selector);
  const found = await items<CustomValue>(client, path, { labelSelector });
  if (found.length === 0) return { error: "no metrics returned from external metrics API" };
  return { total: found.reduce((sum, { value }) => sum + milliValue(value ?? 0), 0) };
}

async function readOne(options: ReadOptions, spec: MetricSpec): Promise<Reading> {
  const { resource, containerResource, pods, object, external } = spec;
  if (resource) return resourceSamples(options, resource.name, undefined);
  if (containerResource) {
    return resourceSamples(options, containerResource.name, containerResource.container);
  }
  if (pods) return podSamples(options, pods.metric);
  if (object) return objectTotal(options, spec);
  if (external) return externalTotal(options, external.metric);
  return { error: `unknown metric source type "${spec.type}"` };
}

/** One reading for each metric of the spec; what cannot be read says why. */
export function readMetrics(
  options: ReadOptions,
  specs: readonly MetricSpec[],
): Promise<Reading[]> {
  return Promise.all(
    specs.map((spec) =>
      readOne(options, spec).catch((error: unknown) => {
        const what = spec.resource?.name ?? spec.containerResource?.name ?? "";
        const of = what === "" ? "metric" : `metrics for resource ${what}`;
        return { error: `unable to get ${of}: ${messageOf(error)}` };
      }),
    ),
  );
}
