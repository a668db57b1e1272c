/** Peers and ports of a policy as words of iptables. Pure. */
import type { PolicyConfig, PolicyPod, PolicyState } from "#agents/policy/plan.ts";
import { familyOf } from "#base/cidr.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { NetworkPolicyPeer, NetworkPolicyPort } from "#resources/types.gen.ts";

/** Into pods or out of them. */
export type Side = "in" | "out";

export interface PeerMatch {
  /** `-s 10.42.0.7`, or empty: anyone. */
  match: string;
  /** Matches that take an address out again. */
  except: readonly string[];
  /** The pods behind the match, for named ports. */
  pods: readonly PolicyPod[];
}

const flag = (side: Side): string => (side === "in" ? "-s" : "-d");

/** Pods that a peer without ipBlock selects: by default of the policy's own namespace. */
function podsOf(peer: NetworkPolicyPeer, namespace: string, state: PolicyState): PolicyPod[] {
  const { podSelector, namespaceSelector } = peer;
  const labels = matchLabelSelector(podSelector ?? {});
  const inNamespace =
    namespaceSelector === undefined
      ? (name: string) => name === namespace
      : (name: string) => {
          const own = state.namespaces.get(name);
          return own !== undefined && matchLabelSelector(namespaceSelector)(own);
        };
  return state.pods.filter((pod) => inNamespace(pod.namespace) && labels(pod.labels));
}

/** A match for each address that the peers stand for; no peers at all mean: anyone. */
export function peerMatches(
  peers: readonly NetworkPolicyPeer[],
  side: Side,
  namespace: string,
  state: PolicyState,
  config: PolicyConfig,
): PeerMatch[] {
  if (peers.length === 0) return [{ match: "", except: [], pods: state.pods }];
  const found = new Map<string, PeerMatch>();
  for (const peer of peers) {
    if (peer.ipBlock !== undefined) {
      const { cidr, except = [] } = peer.ipBlock;
      if (familyOf(cidr) !== config.family) continue;
      const without = except.filter((one) => familyOf(one) === config.family);
      const match = `${flag(side)} ${cidr}`;
      const taken = without.map((one) => `${flag(side)} ${one}`);
      found.set(`${match} ${taken}`, { match, except: taken, pods: [] });
      continue;
    }
    for (const pod of podsOf(peer, namespace, state)) {
      for (const ip of pod.ips.filter((one) => familyOf(one) === config.family)) {
        const match = `${flag(side)} ${ip}`;
        found.set(match, { match, except: [], pods: [pod] });
      }
    }
  }
  return [...found.values()].sort((a, b) => (a.match < b.match ? -1 : 1));
}

/**
 * A match for each port; no ports at all mean: any. Named ports are those of the receiving pods.
 */
export function portMatches(
  ports: readonly NetworkPolicyPort[],
  receivers: readonly PolicyPod[],
  config: PolicyConfig,
): string[] {
  if (ports.length === 0) return [""];
  const found = new Set<string>();
  for (const { port, endPort, protocol = "TCP" } of ports) {
    const words = `-p ${protocol.toLowerCase()}`;
    if (port === undefined) {
      found.add(words);
    } else if (typeof port === "number" || /^\d+$/.test(port)) {
      found.add(`${words} --dport ${port}${endPort === undefined ? "" : `:${endPort}`}`);
    } else {
      for (const match of namedPort(port, protocol, receivers, config)) found.add(match);
    }
  }
  return [...found];
}

/** A name may mean another number in each pod. */
function namedPort(
  name: string,
  protocol: string,
  receivers: readonly PolicyPod[],
  config: PolicyConfig,
): string[] {
  return receivers.flatMap((pod) =>
    (pod.ports.get(`${name}/${protocol}`) ?? []).flatMap((number) =>
      pod.ips
        .filter((ip) => familyOf(ip) === config.family)
        .map((ip) => `-d ${ip} -p ${protocol.toLowerCase()} --dport ${number}`),
    ),
  );
}
