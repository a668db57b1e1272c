/**
 * The endpoints that a Service should have, by address family and by ports
 * (kubernetes.io/docs/concepts/services-networking/endpoint-slices).
 */
import { isReady, isTerminal } from "#controllers/common/pods.ts";
import {
  familiesOf,
  hostnameIn,
  isHeadless,
  podAddresses,
  podReference,
  targetPort,
} from "#controllers/common/service.ts";
import { endpointKey, type Group, portsKey } from "#controllers/common/slices.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  DiscoveryV1EndpointPort,
  Endpoint,
  EndpointHints,
  Node,
  Pod,
  Service,
} from "#resources/types.gen.ts";

const ZONE = "topology.kubernetes.io/zone";

function portsOf(service: Service, pod: Pod): DiscoveryV1EndpointPort[] {
  return (service.spec?.ports ?? []).flatMap((port) => {
    const number = targetPort(pod, port);
    if (number === undefined) return [];
    const { name = "", protocol = "TCP", appProtocol } = port;
    return [{ name, port: number, protocol, ...(appProtocol && { appProtocol }) }];
  });
}

function hintsOf(service: Service, node: Stored<Node> | undefined): EndpointHints | undefined {
  const wish = service.spec?.trafficDistribution;
  const close = wish === "PreferClose" || wish === "PreferSameZone" || wish === "PreferSameNode";
  if (!close || node === undefined) return undefined;
  const zone = node.metadata.labels?.[ZONE];
  const hints: EndpointHints = {};
  if (wish === "PreferSameNode") hints.forNodes = [{ name: node.metadata.name }];
  if (zone !== undefined) hints.forZones = [{ name: zone }];
  return Object.keys(hints).length === 0 ? undefined : hints;
}

function endpointOf(
  service: Stored<Service>,
  pod: Stored<Pod>,
  node: Stored<Node> | undefined,
  address: string,
): Endpoint {
  const serving = isReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  // A terminating pod is never ready, or old clients would go on sending to it.
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating);
  const zone = node?.metadata.labels?.[ZONE];
  const hostname = hostnameIn(pod, service);
  const hints = ready ? hintsOf(service, node) : undefined;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(hostname && { hostname }),
    ...(pod.spec?.nodeName && { nodeName: pod.spec.nodeName }),
    ...(zone !== undefined && { zone }),
    ...(hints && { hints }),
    targetRef: podReference(pod),
  };
}

export interface DesiredOptions {
  service: Stored<Service>;
  pods: ReadonlyArray<Stored<Pod>>;
  nodes: ReadonlyMap<string, Stored<Node>>;
}

export function desiredGroups({ service, pods, nodes }: DesiredOptions): Group[] {
  const groups = new Map<string, Group>();
  const families = familiesOf(service);
  for (const pod of pods) {
    if (isTerminal(pod)) continue;
    const node = nodes.get(pod.spec?.nodeName ?? "");
    // The pod of a node that is gone answers nobody; it is about to be removed.
    if (node === undefined && service.spec?.publishNotReadyAddresses !== true) continue;
    const ports = portsOf(service, pod);
    for (const addressType of families) {
      const [address] = podAddresses(pod, addressType);
      if (address === undefined) continue;
      const endpoint = endpointOf(service, pod, node, address);
      const id = `${addressType}|${portsKey(ports)}`;
      let group = groups.get(id);
      if (group === undefined) {
        group = { addressType, ports, endpoints: new Map() };
        groups.set(id, group);
      }
      group.endpoints.set(endpointKey(endpoint), endpoint);
    }
  }
  // A Service without endpoints has one empty slice a family, so that clients know it was looked
  // at.
  for (const addressType of families) {
    if ([...groups.values()].some((group) => group.addressType === addressType)) continue;
    groups.set(`${addressType}|`, { addressType, ports: [], endpoints: new Map() });
  }
  return [...groups.values()];
}

const RESERVED = new Set([
  "endpointslice.kubernetes.io/managed-by",
  "kubernetes.io/service-name",
  "service.kubernetes.io/headless",
]);

export const MANAGED_BY = "endpointslice-controller.k8s.io";

export function sliceLabels(service: Stored<Service>): Record<string, string> {
  const own = Object.entries(service.metadata.labels ?? {}).filter(([key]) => !RESERVED.has(key));
  return {
    ...Object.fromEntries(own),
    ...(isHeadless(service) && { "service.kubernetes.io/headless": "" }),
    "kubernetes.io/service-name": service.metadata.name,
    "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
  };
}
