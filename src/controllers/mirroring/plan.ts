/**
 * Shows Endpoints that somebody writes by hand as EndpointSlices too, for clients that know only
 * these (kubernetes.io/docs/concepts/services-networking/service, "EndpointSlice mirroring").
 */
import type { Plan } from "#client/controller.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import { deleteAction } from "#controllers/common/patch.ts";
import { isHeadless } from "#controllers/common/service.ts";
import { endpointKey, type Group, portsKey, reconcileSlices } from "#controllers/common/slices.ts";
import { endpoints as endpointsKind } from "#resources/kinds/endpoints.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  DiscoveryV1EndpointPort,
  EndpointAddress,
  EndpointSlice,
  EndpointSubset,
  Endpoints,
  Service,
} from "#resources/types.gen.ts";

export const MANAGED_BY = "endpointslicemirroring-controller.k8s.io";

export interface State {
  /** Undefined where there is nothing to mirror: what was mirrored goes. */
  endpoints: Stored<Endpoints> | undefined;
  service: Stored<Service> | undefined;
  slices: ReadonlyArray<Stored<EndpointSlice>>;
  seed: number;
}

/** Addresses of one subset that are shown (mirroring-max-endpoints-per-subset upstream). */
const ADDRESSES_MAX = 1000;

/** Marks that say: others look after the slices, or there is nothing to serve. */
export function isMirrored(endpoints: Stored<Endpoints>, service: Stored<Service>): boolean {
  const { labels = {}, annotations = {} } = endpoints.metadata;
  if (labels["endpointslice.kubernetes.io/skip-mirror"] === "true") return false;
  if ("control-plane.alpha.kubernetes.io/leader" in annotations) return false;
  return Object.keys(service.spec?.selector ?? {}).length === 0;
}

function portsOf(subset: EndpointSubset): DiscoveryV1EndpointPort[] {
  return (subset.ports ?? []).map(({ name = "", port, protocol = "TCP", appProtocol }) => ({
    name,
    port,
    protocol,
    ...(appProtocol && { appProtocol }),
  }));
}

function addTo(groups: Map<string, Group>, subset: EndpointSubset, ready: boolean): void {
  const ports = portsOf(subset);
  const addresses = (ready ? subset.addresses : subset.notReadyAddresses) ?? [];
  for (const address of addresses.slice(0, ADDRESSES_MAX)) {
    const addressType = address.ip.includes(":") ? "IPv6" : "IPv4";
    const id = `${addressType}|${portsKey(ports)}`;
    const group = groups.get(id) ?? { addressType, ports, endpoints: new Map() };
    groups.set(id, group);
    const endpoint = endpointOf(address, ready);
    group.endpoints.set(endpointKey(endpoint), endpoint);
  }
}

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean) {
  return {
    addresses: [ip],
    conditions: { ready },
    ...(hostname && { hostname }),
    ...(nodeName && { nodeName }),
    ...(targetRef && { targetRef }),
  };
}

export function plan(state: State): Plan {
  const { endpoints, service, slices, seed } = state;
  if (endpoints === undefined || service === undefined) {
    return { actions: slices.map((slice) => deleteAction(endpointSlices, slice)) };
  }
  const groups = new Map<string, Group>();
  for (const subset of endpoints.subsets ?? []) {
    addTo(groups, subset, true);
    addTo(groups, subset, false);
  }
  const { "kubectl.kubernetes.io/last-applied-configuration": _, ...annotations } =
    endpoints.metadata.annotations ?? {};
  const actions = reconcileSlices({
    namespace: endpoints.metadata.namespace ?? "",
    base: `${endpoints.metadata.name}-`,
    labels: {
      ...endpoints.metadata.labels,
      ...(isHeadless(service) && { "service.kubernetes.io/headless": "" }),
      "kubernetes.io/service-name": endpoints.metadata.name,
      "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
    },
    ...(Object.keys(annotations).length > 0 && { annotations }),
    owner: controllerReference(endpointsKind, endpoints),
    groups: [...groups.values()],
    slices,
    seed,
  });
  return { actions };
}
