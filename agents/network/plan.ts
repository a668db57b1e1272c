/**
 * What a node's network needs: routes to the other nodes' pods, and the rules that every pod's
 * traffic meets (masquerade, forwarding, host ports). Pure; `agent.ts` and the rule writer carry it
 * out.
 */
import type { PodAttachment } from "#agents/network/cni.ts";
import type { Chain, Hook, RuleSet } from "#agents/network/packets.ts";
import { type Family, familyOf } from "#base/cidr.ts";
import type { Node } from "#resources/types.gen.ts";

export interface Peer {
  name: string;
  /** Where the peer's kernel answers on the LAN. */
  address: string;
  podCidr: string;
}

/** To a neighbour, or into a link. */
export interface Route {
  dst: string;
  via?: string;
  dev?: string;
}

export interface NetworkState {
  nodeName: string;
  /** Of the whole cluster; two with a comma for dual-stack. */
  clusterCidr: string;
  nodes: readonly Node[];
  attachments: readonly PodAttachment[];
  /** Host ports and node ports answer on 127.0.0.1, too. */
  localhostPorts: boolean;
  /** Of the API, where it is on this node. */
  apiPort?: number;
  /** Servers of the datastore, which are no business of pods: `192.168.0.9`, 2379. */
  datastore?: ReadonlyArray<{ address: string; port: number }>;
  /** Where this node answers DNS. */
  dnsAddresses?: readonly string[];
  /** Packets between nodes' pods travel in VXLAN. */
  overlay?: boolean;
}

/** The parts of a comma-separated list of CIDRs that are of one family. */
export function cidrsOf(list: string, family: Family): string[] {
  return list.split(",").filter((cidr) => cidr !== "" && familyOf(cidr) === family);
}

/** All ranges of addresses that are the cluster's own: of pods and, where told, of Services. */
export function ownCidrs(ranges: { clusterCidr: string; serviceCidr?: string }): string[] {
  const { clusterCidr, serviceCidr = "" } = ranges;
  return [clusterCidr, serviceCidr]
    .flatMap((list) => list.split(","))
    .filter((cidr) => cidr !== "");
}

function podCidrsOf(node: Node): readonly string[] {
  const { podCIDRs, podCIDR } = node.spec ?? {};
  return podCIDRs ?? (podCIDR ? [podCIDR] : []);
}

function internalAddresses(node: Node | undefined, family: Family): string[] {
  return (node?.status?.addresses ?? [])
    .filter(({ type, address }) => type === "InternalIP" && familyOf(address) === family)
    .map(({ address }) => address);
}

/** This node's own pod CIDRs of a family. */
export function ownPodCidrs(state: NetworkState, family: Family): string[] {
  const own = state.nodes.find((node) => node.metadata?.name === state.nodeName);
  return own === undefined ? [] : podCidrsOf(own).filter((cidr) => familyOf(cidr) === family);
}

/** The address by which the other nodes know this one. */
export function ownAddress(state: NetworkState, family: Family): string | undefined {
  const own = state.nodes.find((node) => node.metadata?.name === state.nodeName);
  return internalAddresses(own, family)[0];
}

/** The other nodes that have pods elsewhere than on this machine. */
export function planPeers(state: NetworkState, family: Family): Peer[] {
  const own = state.nodes.find((node) => node.metadata?.name === state.nodeName);
  const here = new Set(internalAddresses(own, family));
  const peers: Peer[] = [];
  for (const node of state.nodes) {
    const name = node.metadata?.name ?? "";
    const address = internalAddresses(node, family)[0];
    // Two nodes of one machine share its kernel: their pods are on links of it already.
    if (name === state.nodeName || address === undefined || here.has(address)) continue;
    for (const podCidr of podCidrsOf(node)) {
      if (familyOf(podCidr) === family) peers.push({ name, address, podCidr });
    }
  }
  return peers.sort((a, b) => (a.podCidr < b.podCidr ? -1 : 1));
}

export function planRoutes(peers: readonly Peer[]): Route[] {
  return peers.map(({ podCidr, address }) => ({ dst: podCidr, via: address }));
}

const MULTICAST: Record<Family, string> = { IPv4: "224.0.0.0/4", IPv6: "ff00::/8" };
const LOOPBACK: Record<Family, string> = { IPv4: "127.0.0.0/8", IPv6: "::1/128" };
const WIDTH: Record<Family, number> = { IPv4: 32, IPv6: 128 };

function destination(ip: string, port: number): string {
  return ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;
}

/**
 * One DNAT a mapping, and what a pod (or the node on 127.0.0.1) needs to reach itself through it.
 */
function hostPorts(state: NetworkState, family: Family): { dnat: string[]; masquerade: string[] } {
  const dnat: string[] = [];
  const masquerade: string[] = [];
  const bySandbox = state.attachments.toSorted((a, b) => (a.sandboxId < b.sandboxId ? -1 : 1));
  for (const { ips, portMappings } of bySandbox) {
    const ip = ips.find((address) => familyOf(address) === family);
    if (ip === undefined || portMappings.length === 0) continue;
    for (const { hostPort, containerPort, protocol, hostIP } of portMappings) {
      const everywhere = hostIP === undefined || hostIP === "" || /^(0\.0\.0\.0|::)$/.test(hostIP);
      if (!everywhere && familyOf(hostIP) !== family) continue;
      const at = everywhere ? "" : `-d ${hostIP}/${WIDTH[family]} `;
      const name = protocol.toLowerCase();
      const to = destination(ip, containerPort);
      dnat.push(`${at}-p ${name} --dport ${hostPort} -j DNAT --to-destination ${to}`);
    }
    const pod = `${ip}/${WIDTH[family]}`;
    masquerade.push(`-s ${pod} -d ${pod} -m conntrack --ctstate DNAT -j MASQUERADE`);
    masquerade.push(`-s ${LOOPBACK[family]} -d ${pod} -j MASQUERADE`);
  }
  return { dnat, masquerade };
}

/** Pods' addresses are seen inside the cluster and hidden behind the node's outside of it. */
export function planNetworkRules(state: NetworkState, family: Family): RuleSet {
  const cluster = cidrsOf(state.clusterCidr, family);
  const ports = hostPorts(state, family);
  const inside = cluster.flatMap((from) => cluster.map((to) => `-s ${from} -d ${to} -j RETURN`));
  const outside = ownPodCidrs(state, family).map(
    (cidr) => `-s ${cidr} ! -d ${MULTICAST[family]} -j MASQUERADE --random-fully`,
  );
  const chains: Chain[] = [
    { table: "nat", name: "POST", rules: [...ports.masquerade, ...inside, ...outside] },
    { table: "nat", name: "HOSTPORTS", rules: ports.dnat },
    {
      table: "filter",
      name: "PODS",
      rules: cluster.flatMap((cidr) => [`-s ${cidr} -j ACCEPT`, `-d ${cidr} -j ACCEPT`]),
    },
  ];
  const local = "-m addrtype --dst-type LOCAL";
  const hooks: Hook[] = [
    { table: "nat", from: "POSTROUTING", to: "POST" },
    { table: "nat", from: "PREROUTING", to: "HOSTPORTS", match: local },
    { table: "nat", from: "OUTPUT", to: "HOSTPORTS", match: local },
    { table: "filter", from: "FORWARD", to: "PODS" },
  ];
  if (state.localhostPorts && family === "IPv4") {
    // route_localnet=1 opens 127.0.0.1 to the LAN (CVE-2020-8558): only what we sent there comes
    // back.
    const state = "-m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT";
    const rule = `-d ${LOOPBACK.IPv4} ! -s ${LOOPBACK.IPv4} ${state} -j DROP`;
    chains.push({ table: "filter", name: "LOCALNET", rules: [rule] });
    hooks.push({ table: "filter", from: "INPUT", to: "LOCALNET" });
  }
  return { chains, hooks };
}
