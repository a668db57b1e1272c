/** Gives our Ingresses the addresses of the nodes that serve them. */
import type { Plan } from "#client/controller.ts";
import { balancerAddress } from "#controllers/common/nodeaddress.ts";
import { statusAction } from "#controllers/common/patch.ts";
import { sameValue } from "#resources/equal.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import type { Stored } from "#resources/meta.ts";
import { INGRESS_PORTS } from "#resources/ownedingress.ts";
import type { Ingress, Node } from "#resources/types.gen.ts";

export interface State {
  ingress: Stored<Ingress>;
  nodes: ReadonlyArray<Stored<Node>>;
}

/** As for Services: clients need a few, not a list of the cluster. */
const ADDRESSES_MAX = 16;

/** Of a node that is well, and listens. */
export function ingressAddress(node: Stored<Node>): string | undefined {
  return node.metadata.annotations?.[INGRESS_PORTS] ? balancerAddress(node) : undefined;
}

export function plan({ ingress, nodes }: State): Plan {
  if (ingress.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const before = ingress.status?.loadBalancer?.ingress ?? [];
  const addresses = nodes.flatMap((node) => ingressAddress(node) ?? []);
  // What is shown stays shown while its node is well: DNS and people hold on to it.
  const shown = before.flatMap(({ ip }) => (ip && addresses.includes(ip) ? [ip] : []));
  const rest = addresses.filter((ip) => !shown.includes(ip)).sort();
  const after = [...shown, ...rest].slice(0, ADDRESSES_MAX).map((ip) => ({ ip }));
  if (sameValue(before, after)) return { actions: [] };
  const loadBalancer = after.length > 0 ? { ingress: after } : {};
  return { actions: statusAction(ingresses, ingress, { ...ingress.status, loadBalancer }) };
}
