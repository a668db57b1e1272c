/**
 * Gives Services of type LoadBalancer the addresses of the nodes: every node answers for them. Who
 * has a load balancer of their own names its class in the Service, and is left alone.
 */
import type { Plan } from "#client/controller.ts";
import { balancerAddress } from "#controllers/common/nodeaddress.ts";
import { statusAction } from "#controllers/common/patch.ts";
import { sameValue } from "#resources/equal.ts";
import { services } from "#resources/kinds/service.ts";
import type { Stored } from "#resources/meta.ts";
import type { LoadBalancerIngress, Node, Service } from "#resources/types.gen.ts";

export interface State {
  service: Stored<Service>;
  nodes: ReadonlyArray<Stored<Node>>;
}

export const CLASS = "bramble.dev/nodes";
/** Addresses shown for one Service: clients need a few, not a list of the cluster. */
const ADDRESSES_MAX = 16;

function ingressOf({ service, nodes }: State): LoadBalancerIngress[] {
  const given = service.spec?.loadBalancerClass;
  if (service.spec?.type !== "LoadBalancer") return [];
  if (given !== undefined && given !== CLASS) return service.status?.loadBalancer?.ingress ?? [];
  const wanted = new Set(service.spec.ipFamilies ?? ["IPv4"]);
  const addresses = nodes
    .flatMap((node) => balancerAddress(node) ?? [])
    .filter((ip) => wanted.has(ip.includes(":") ? "IPv6" : "IPv4"));
  // Addresses that are shown stay shown while their nodes are well: DNS and people hold on to them.
  const shown = (service.status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) =>
    ip !== undefined && addresses.includes(ip) ? [ip] : [],
  );
  const rest = addresses.filter((ip) => !shown.includes(ip)).sort();
  return [...shown, ...rest].slice(0, ADDRESSES_MAX).map((ip) => ({ ip, ipMode: "VIP" }));
}

export function plan(state: State): Plan {
  const { service } = state;
  if (service.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const ingress = ingressOf(state);
  if (sameValue(service.status?.loadBalancer?.ingress ?? [], ingress)) return { actions: [] };
  const loadBalancer = ingress.length > 0 ? { ingress } : {};
  return { actions: statusAction(services, service, { ...service.status, loadBalancer }) };
}
