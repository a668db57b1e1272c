/** Which pods stand behind a Service, and on which ports. */
import type { Cache, CacheChange, Caches, Index } from "#client/cache.types.ts";
import { isReady, isTerminal } from "#controllers/common/pods.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { Container, LabelSelector, Pod, Service, ServicePort } from "#resources/types.gen.ts";

const labelKey = (namespace: string | undefined, key: string, value: string): string =>
  `${namespace}|${key}=${value}`;

/** Pods by each of their labels: a selector then looks at one bucket, not at a namespace. */
export const podsByLabel: Index<Pod> = {
  name: "label",
  values: ({ metadata }) =>
    Object.entries(metadata.labels ?? {}).map(([key, value]) =>
      labelKey(metadata.namespace, key, value),
    ),
};

/** Services by the first term of their selector. */
const servicesBySelector: Index<Service> = {
  name: "selector",
  values: ({ metadata, spec }) => {
    const [first] = Object.entries(spec?.selector ?? {}).sort();
    return first === undefined ? [] : [labelKey(metadata.namespace, first[0], first[1])];
  },
};

const matches = (selector: Readonly<Record<string, string>>, labels: Record<string, string> = {}) =>
  Object.entries(selector).every(([key, value]) => labels[key] === value);

/** Pods of a namespace with these labels; none for an empty selector. */
export function podsWith(
  cache: Cache<Pod>,
  namespace: string,
  selector: Readonly<Record<string, string>>,
): Array<Stored<Pod>> {
  const [first] = Object.entries(selector).sort();
  if (first === undefined) return [];
  const some = cache.indexed(podsByLabel, labelKey(namespace, first[0], first[1]));
  return some.filter((pod) => matches(selector, pod.metadata.labels));
}

/**
 * Pods of a namespace that a label selector chooses; looks at one bucket where it names a label.
 */
export function podsMatching(
  cache: Cache<Pod>,
  namespace: string,
  selector: LabelSelector | undefined,
): Array<Stored<Pod>> {
  const matches = matchLabelSelector(selector);
  const [first] = Object.entries(selector?.matchLabels ?? {}).sort();
  const some =
    first === undefined
      ? cache.list(namespace)
      : cache.indexed(podsByLabel, labelKey(namespace, first[0], first[1]));
  return some.filter((pod) => matches(pod.metadata.labels ?? {}));
}

/** Keys of the Services that select a pod. */
export function servicesOf(pod: Stored<Pod>, caches: Caches): string[] {
  const { namespace, labels = {} } = pod.metadata;
  const all = caches.of(services);
  if (!all.holds(namespace ?? "")) return [];
  return Object.entries(labels).flatMap(([key, value]) =>
    all
      .indexed(servicesBySelector, labelKey(namespace, key, value))
      .filter((service) => matches(service.spec?.selector ?? {}, labels))
      .map(keyOf),
  );
}

/** Something that endpoints show: most changes of a pod are not. */
export function endpointChanged({ before, after }: CacheChange<Pod>): boolean {
  if (before === undefined || after === undefined) return true;
  const shown = (pod: Stored<Pod>): unknown[] => [
    isReady(pod),
    isTerminal(pod),
    pod.metadata.uid,
    pod.metadata.deletionTimestamp === undefined,
    pod.spec?.nodeName,
    pod.spec?.hostname,
    pod.spec?.subdomain,
    ...(pod.status?.podIPs ?? []).map(({ ip }) => ip),
    pod.status?.podIP,
    JSON.stringify(pod.metadata.labels),
  ];
  const [left, right] = [shown(before), shown(after)];
  return left.length !== right.length || left.some((value, i) => value !== right[i]);
}

/** As `endpointChanged`, for who shows addresses: a pod without any is not there yet. */
export function addressChanged(change: CacheChange<Pod>): boolean {
  const has = (pod: Pod | undefined) => pod !== undefined && podAddresses(pod).length > 0;
  return (has(change.before) || has(change.after)) && endpointChanged(change);
}

const isSidecar = (container: Container): boolean => container.restartPolicy === "Always";

/**
 * The number of a Service's target port in a pod; undefined where the pod has no port of that name.
 */
export function targetPort(pod: Pod, port: ServicePort): number | undefined {
  const target = port.targetPort ?? port.port;
  if (typeof target === "number") return target;
  if (/^\d+$/.test(target)) return Number(target);
  const containers = [
    ...(pod.spec?.containers ?? []),
    ...(pod.spec?.initContainers ?? []).filter(isSidecar),
  ];
  for (const container of containers) {
    for (const { name, protocol = "TCP", containerPort } of container.ports ?? []) {
      if (name === target && protocol === (port.protocol ?? "TCP")) return containerPort;
    }
  }
  return undefined;
}

/** Addresses of a pod, of one family where asked. */
export function podAddresses(pod: Pod, family?: "IPv4" | "IPv6"): string[] {
  const listed = (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  const all = listed.length > 0 ? listed : pod.status?.podIP ? [pod.status.podIP] : [];
  if (family === undefined) return all;
  return all.filter((ip) => ip.includes(":") === (family === "IPv6"));
}

export function familiesOf(service: Service): Array<"IPv4" | "IPv6"> {
  const asked = (service.spec?.ipFamilies ?? []).filter((one) => one === "IPv4" || one === "IPv6");
  if (asked.length > 0) return asked;
  return [service.spec?.clusterIP?.includes(":") ? "IPv6" : "IPv4"];
}

export const isHeadless = (service: Service): boolean => service.spec?.clusterIP === "None";

/** A pod's own name in a headless Service, when it asked for one. */
export function hostnameIn(pod: Pod, service: Stored<Service>): string | undefined {
  const { hostname, subdomain } = pod.spec ?? {};
  return hostname && subdomain === service.metadata.name ? hostname : undefined;
}

/** Reference to a pod as endpoints carry it. */
export const podReference = (pod: Stored<Pod>) => ({
  kind: podKind.kind,
  ...(pod.metadata.namespace && { namespace: pod.metadata.namespace }),
  name: pod.metadata.name,
  uid: pod.metadata.uid,
});
