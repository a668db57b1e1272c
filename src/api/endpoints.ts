/**
 * Where the API server may connect to for a Service. Whoever writes an EndpointSlice, or a DNS
 * record that a Service names, must not reach what only this machine and the nodes can reach.
 */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { peek } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { addressText, addressValue, contains } from "#base/cidr.ts";
import { addressKey, addressKind } from "#resources/addresses.ts";
import type { Stored } from "#resources/meta.ts";
import type { EndpointSlice, Node, ObjectReference, Pod, Service } from "#resources/types.gen.ts";

/** The network as this process sees it. */
export interface OutboundNetwork {
  /** Addresses of this machine. */
  addresses(): readonly string[];
  /** Addresses of a name. Rejects where there is none. */
  lookup(name: string): Promise<readonly string[]>;
}

export const defaultNetwork: OutboundNetwork = {
  addresses: () => [],
  lookup: async (name) => (await lookup(name, { all: true })).map(({ address }) => address),
};

export interface Endpoint {
  readonly namespace: string;
  readonly address: string;
  readonly port: number;
  /** The pod that it says it is. */
  readonly pod?: { readonly name: string; readonly uid: string | undefined };
}

/** A Service has pods of its own namespace only. */
function podOf(ref: ObjectReference | undefined, namespace: string): Pick<Endpoint, "pod"> {
  const { kind, name, uid } = ref ?? {};
  if (kind !== "Pod" || !name || (ref?.namespace ?? namespace) !== namespace) return {};
  return { pod: { name, uid } };
}

/** Ready endpoints behind one port of a Service. */
export async function endpointsOf(
  core: Core,
  service: Stored<Service>,
  portName: string,
): Promise<Endpoint[]> {
  const { namespace = "", name } = service.metadata;
  const page = await core.store.list({
    prefix: `discovery.k8s.io/endpointslices/${namespace}/`,
    filter: ({ labels }) => labels["kubernetes.io/service-name"] === name,
  });
  const found: Endpoint[] = [];
  for (const item of page.items) {
    const { ports, endpoints } = peek<EndpointSlice>(item);
    const port = ports?.find((each) => (each.name ?? "") === portName)?.port;
    if (port === undefined) continue;
    for (const { addresses, conditions, targetRef } of endpoints ?? []) {
      const [address = ""] = addresses;
      // Names of a slice (FQDN) are nobody's endpoint.
      if (conditions?.ready === false || isIP(address) === 0) continue;
      found.push({ namespace, address, port, ...podOf(targetRef, namespace) });
    }
  }
  return found;
}

/** Its state is written by nodes only. */
const hasAddress = ({ status }: Pod, key: string): boolean =>
  [...(status?.podIPs ?? []), { ip: status?.podIP ?? "" }].some(
    ({ ip }) => ip !== "" && addressKey(ip) === key,
  );

const hasEnded = ({ status }: Pod): boolean =>
  status?.phase === "Succeeded" || status?.phase === "Failed";

/** The pod behind an endpoint; undefined where it is another one, or has another address. */
export async function podBehind(core: Core, endpoint: Endpoint): Promise<Stored<Pod> | undefined> {
  const { namespace, address, pod: named } = endpoint;
  if (named === undefined) return undefined;
  const item = await core.store.get(`core/pods/${namespace}/${named.name}`);
  if (item === undefined) return undefined;
  const pod = peek<Pod>(item);
  if (named.uid && named.uid !== pod.metadata.uid) return undefined;
  return hasAddress(pod, addressKey(address)) && !hasEnded(pod) ? pod : undefined;
}

const nodeAddresses = ({ status }: Node): string[] =>
  (status?.addresses ?? []).map(({ address }) => address).filter((text) => isIP(text) !== 0);

const rangesOf = ({ spec }: Node): string[] =>
  spec?.podCIDRs?.length ? [...spec.podCIDRs] : spec?.podCIDR ? [spec.podCIDR] : [];

/** A node has the first two addresses of its pods' range: the network's own and the bridge's. */
function ownInRange(cidr: string): string[] {
  const [text = ""] = cidr.split("/");
  const first = addressValue(text);
  if (first === undefined) return [];
  return [first, first + 1n].map((value) => addressText(value, text.includes(":")));
}

/** The pod has its address from its node, by the node's range or by the node's network. */
async function isOfItsNode(core: Core, pod: Pod, address: string): Promise<boolean> {
  const item = pod.spec?.nodeName && (await core.store.get(`core/nodes/${pod.spec.nodeName}`));
  if (!item) return false;
  const node = peek<Node>(item);
  const isAmong = (all: readonly string[]) =>
    all.some((each) => addressKey(each) === addressKey(address));
  if (pod.spec?.hostNetwork === true) return isAmong(nodeAddresses(node));
  const range = rangesOf(node).find((cidr) => contains(cidr, address));
  return range !== undefined && !isAmong(ownInRange(range));
}

/** Addresses of Services lead on to whatever their endpoints are. */
const serviceAddresses = ({ spec, status }: Service): string[] => [
  ...(spec?.clusterIPs ?? []),
  ...(spec?.clusterIP ? [spec.clusterIP] : []),
  ...(spec?.externalIPs ?? []),
  ...(status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => (ip ? [ip] : [])),
];

async function isTaken(core: Core, address: string): Promise<boolean> {
  const key = addressKey(address);
  const isAmong = (all: readonly string[]) => all.some((each) => addressKey(each) === key);
  if (isAmong(core.network.addresses())) return true;
  if (core.settings.serviceCidrs.some((cidr) => contains(cidr, address))) return true;
  // Servers need not be nodes.
  const servers = await core.store.get("discovery.k8s.io/endpointslices/default/kubernetes");
  const listed = servers === undefined ? [] : (peek<EndpointSlice>(servers).endpoints ?? []);
  if (listed.some(({ addresses }) => isAmong(addresses))) return true;
  const nodes = await core.store.list({ prefix: "core/nodes/" });
  for (const item of nodes.items) {
    const node = peek<Node>(item);
    if (isAmong([...nodeAddresses(node), ...rangesOf(node).flatMap(ownInRange)])) return true;
  }
  const services = await core.store.list({ prefix: "core/services/" });
  return services.items.some((item) => isAmong(serviceAddresses(peek<Service>(item))));
}

/**
 * @throws Error for an address that is no endpoint: of loopback, of a link, of a node, a server or
 * a Service, unless a pod of that node has it.
 */
export async function checkReachable(core: Core, endpoint: Endpoint): Promise<void> {
  const { address } = endpoint;
  const refused = new Error(`address ${address} is not allowed`);
  if (addressKind(address) !== "global") throw refused;
  const pod = await podBehind(core, endpoint);
  if (pod !== undefined && (await isOfItsNode(core, pod, address))) return;
  if (await isTaken(core, address)) throw refused;
}

/** An address of the name that may be reached: asked once, and connected to as it was checked. */
export async function addressOfName(core: Core, name: string): Promise<string> {
  const endpoint = { namespace: "", port: 0 };
  let problem: unknown = new Error(`no address of ${name}`);
  for (const address of await core.network.lookup(name)) {
    try {
      await checkReachable(core, { ...endpoint, address });
      return address;
    } catch (error) {
      problem = error;
    }
  }
  throw problem;
}
