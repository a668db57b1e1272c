/**
 * What of this node answers to whom, as far as bramble decides it: the cluster's own members get to
 * what they need whatever the machine's policy is; pods get nowhere near the machine's metadata; a
 * stranger on the LAN slips no packet into the overlay. Who else may reach a port is the machine's
 * own firewall's to say. Pure.
 */
import type { Chain, Hook, RuleSet } from "#agents/network/packets.ts";
import { cidrsOf, type NetworkState, planPeers } from "#agents/network/plan.ts";
import { type Family, familyOf } from "#base/cidr.ts";

/** UDP port of VXLAN as Linux and flannel have it. */
export const VXLAN_PORT = 8472;
const DNS_PORT = 53;

/** Where clouds and boards tell a machine its secrets: link-local, and AWS' address of IPv6. */
const METADATA: Record<Family, string> = { IPv4: "169.254.0.0/16", IPv6: "fd00:ec2::254/128" };

function opened(state: NetworkState, family: Family): string[] {
  const { apiPort, dnsAddresses = [], overlay } = state;
  const pods = cidrsOf(state.clusterCidr, family);
  const peers = [...new Set(planPeers(state, family).map(({ address }) => address))];
  const rules: string[] = [];
  for (const source of pods) {
    for (const address of dnsAddresses.filter((each) => familyOf(each) === family)) {
      for (const protocol of ["udp", "tcp"]) {
        rules.push(`-s ${source} -d ${address} -p ${protocol} --dport ${DNS_PORT} -j ACCEPT`);
      }
    }
  }
  if (apiPort !== undefined) {
    const members = [...pods, ...peers];
    rules.push(...members.map((from) => `-s ${from} -p tcp --dport ${apiPort} -j ACCEPT`));
  }
  if (overlay === true && family === "IPv4") {
    rules.push(...peers.map((from) => `-s ${from} -p udp --dport ${VXLAN_PORT} -j ACCEPT`));
    rules.push(`-p udp --dport ${VXLAN_PORT} -j DROP`);
  }
  return rules;
}

/** Where pods have no business: the machine's metadata, and the datastore wherever it is. */
function shut(state: NetworkState, family: Family): string[] {
  const places = [`-d ${METADATA[family]}`];
  for (const { address, port } of state.datastore ?? []) {
    const at = `-p tcp --dport ${port}`;
    // It may listen on all of this machine's addresses, whichever one we use.
    places.push(`${at} -m addrtype --dst-type LOCAL`);
    if (familyOf(address) === family) places.push(`-d ${address} ${at}`);
  }
  const sources = cidrsOf(state.clusterCidr, family);
  return sources.flatMap((source) =>
    [...new Set(places)].map((place) => `-s ${source} ${place} -j REJECT`),
  );
}

export function planFirewall(state: NetworkState, family: Family): RuleSet {
  const chains: Chain[] = [
    { table: "filter", name: "OPENED", rules: opened(state, family) },
    { table: "filter", name: "SHUT", rules: shut(state, family) },
  ];
  const hooks: Hook[] = [
    { table: "filter", from: "FORWARD", to: "SHUT" },
    { table: "filter", from: "INPUT", to: "SHUT" },
    { table: "filter", from: "INPUT", to: "OPENED" },
  ];
  return { chains, hooks };
}
