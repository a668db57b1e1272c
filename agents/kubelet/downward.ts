/**
 * The downward API: fields of a pod and resources of its containers as text.
 * https://kubernetes.io/docs/concepts/workloads/pods/downward-api/
 */
import { specOf } from "#agents/kubelet/pod.ts";
import type { Stored } from "#resources/meta.ts";
import { milliValue, quantityValue } from "#resources/quantity.ts";
import type { Pod, ResourceFieldSelector } from "#resources/types.gen.ts";

export interface DownwardSource {
  pod: Stored<Pod>;
  podIps: readonly string[];
  hostIps: readonly string[];
  nodeName: string;
  /** The node's allocatable resources: what a container without a limit may use. */
  allocatable: Readonly<Record<string, string>>;
}

/** Go's strconv.Quote, as far as labels and annotations need it. */
const quoted = (text: string): string => JSON.stringify(text);

const lines = (map: Record<string, string> | undefined): string =>
  Object.entries(map ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${quoted(value)}`)
    .join("\n");

function subscript(path: string): { base: string; key: string } | undefined {
  const match = /^([^[]+)\['(.+)'\]$/.exec(path);
  return match?.[1] !== undefined && match[2] !== undefined
    ? { base: match[1], key: match[2] }
    : undefined;
}

/** The text of one field. Throws an Error where the pod has no such field. */
export function fieldText(source: DownwardSource, path: string): string {
  const { metadata, spec } = source.pod;
  const keyed = subscript(path);
  if (keyed?.base === "metadata.labels") return metadata.labels?.[keyed.key] ?? "";
  if (keyed?.base === "metadata.annotations") return metadata.annotations?.[keyed.key] ?? "";
  switch (path) {
    case "metadata.name":
      return metadata.name;
    case "metadata.namespace":
      return metadata.namespace ?? "";
    case "metadata.uid":
      return metadata.uid;
    case "metadata.labels":
      return lines(metadata.labels);
    case "metadata.annotations":
      return lines(metadata.annotations);
    case "spec.nodeName":
      return source.nodeName;
    case "spec.serviceAccountName":
      return spec?.serviceAccountName ?? "";
    case "status.hostIP":
      return source.hostIps[0] ?? "";
    case "status.hostIPs":
      return source.hostIps.join(",");
    case "status.podIP":
      return source.podIps[0] ?? "";
    case "status.podIPs":
      return source.podIps.join(",");
    default:
      throw new Error(`unsupported fieldPath: ${path}`);
  }
}

/** Rounded up to whole units of the divisor, as Kubernetes does. */
function divided(resource: string, amount: string | number, divisor: string | number): string {
  const by = quantityValue(divisor) === 0 ? "1" : divisor;
  if (resource.endsWith(".cpu")) return String(Math.ceil(milliValue(amount) / milliValue(by)));
  return String(Math.ceil(quantityValue(amount) / quantityValue(by)));
}

/** `limits.cpu`, `requests.memory` … of a container. Throws an Error for what does not exist. */
export function resourceText(
  source: DownwardSource,
  selector: ResourceFieldSelector,
  containerName: string,
): string {
  const name = selector.containerName || containerName;
  const spec = specOf(source.pod);
  const all = [...(spec.initContainers ?? []), ...spec.containers];
  const container = all.find((other) => other.name === name);
  if (container === undefined) throw new Error(`container ${name} not found`);
  const [kind, ...rest] = selector.resource.split(".");
  const resource = rest.join(".");
  const { limits = {}, requests = {} } = container.resources ?? {};
  let amount: string | number | undefined;
  if (kind === "limits") amount = limits[resource] ?? source.allocatable[resource];
  else if (kind === "requests") amount = requests[resource];
  else throw new Error(`unsupported container resource : ${selector.resource}`);
  return divided(selector.resource, amount ?? "0", selector.divisor ?? "1");
}
