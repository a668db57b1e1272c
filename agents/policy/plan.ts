/**
 * NetworkPolicies to packet rules for the pods of this node. Pure. Rules of what is allowed are
 * marks; a pod that a policy selects drops what was not marked. Semantics: networking.k8s.io/v1
 * NetworkPolicy; the node's own traffic to its pods (probes) is never touched.
 */
import type { Chain, RuleSet } from "#agents/network/packets.ts";
import { peerMatches, portMatches, type Side } from "#agents/policy/rules.ts";
import { familyOf } from "#base/cidr.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { Namespace, NetworkPolicy, Pod } from "#resources/types.gen.ts";

/** A pod as policies see it. */
export interface PolicyPod {
  namespace: string;
  name: string;
  uid: string;
  labels: Readonly<Record<string, string>>;
  ips: readonly string[];
  here: boolean;
  /** `name/PROTOCOL` to numbers, for named ports. */
  ports: ReadonlyMap<string, readonly number[]>;
}

export interface PolicyConfig {
  family: "IPv4" | "IPv6";
  /** One bit of the packet mark that means: a policy allows it. */
  markBit: number;
}

export interface PolicyState {
  policies: readonly NetworkPolicy[];
  pods: readonly PolicyPod[];
  /** Labels of each namespace. */
  namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
}

function namedPorts(pod: Pod): Map<string, number[]> {
  const found = new Map<string, number[]>();
  for (const container of pod.spec?.containers ?? []) {
    for (const { name, containerPort, protocol = "TCP" } of container.ports ?? []) {
      if (name === undefined) continue;
      const key = `${name}/${protocol}`;
      found.set(key, [...(found.get(key) ?? []), containerPort]);
    }
  }
  return found;
}

/**
 * Undefined for pods that no policy can concern: without an address, ended, or on the node's
 * network.
 */
export function policyPod(
  pod: Pod,
  nodeName: string,
  attached: ReadonlyMap<string, readonly string[]>,
): PolicyPod | undefined {
  const { namespace = "", name = "", uid = "", labels = {} } = pod.metadata ?? {};
  const phase = pod.status?.phase;
  if (pod.spec?.hostNetwork === true || phase === "Succeeded" || phase === "Failed") {
    return undefined;
  }
  const here = pod.spec?.nodeName === nodeName;
  // The node knows its pods' addresses before the API does.
  const own = here ? attached.get(uid) : undefined;
  const ips = own ?? (pod.status?.podIPs ?? []).map(({ ip }) => ip);
  if (ips.length === 0) return undefined;
  return { namespace, name, uid, labels, ips, here, ports: namedPorts(pod) };
}

export function namespaceLabels(
  namespaces: readonly Namespace[],
): Map<string, Readonly<Record<string, string>>> {
  return new Map(
    namespaces.map(({ metadata }) => [metadata?.name ?? "", metadata?.labels ?? {}] as const),
  );
}

function typesOf(policy: NetworkPolicy): readonly string[] {
  const { policyTypes, egress } = policy.spec ?? {};
  if (policyTypes !== undefined && policyTypes.length > 0) return policyTypes;
  return egress === undefined ? ["Ingress"] : ["Ingress", "Egress"];
}

const policyName = (policy: NetworkPolicy): string =>
  `${policy.metadata?.namespace}/${policy.metadata?.name}`;

interface Selected {
  policy: NetworkPolicy;
  pods: readonly PolicyPod[];
}

/** Policies that concern pods of this node on one side, with those pods. */
function selected(state: PolicyState, side: Side): Selected[] {
  const found: Selected[] = [];
  for (const policy of state.policies) {
    if (!typesOf(policy).includes(side === "in" ? "Ingress" : "Egress")) continue;
    const matches = matchLabelSelector(policy.spec?.podSelector ?? {});
    const pods = state.pods.filter(
      (pod) => pod.here && pod.namespace === policy.metadata?.namespace && matches(pod.labels),
    );
    if (pods.length > 0) found.push({ policy, pods });
  }
  return found.sort((a, b) => (policyName(a.policy) < policyName(b.policy) ? -1 : 1));
}

/** One policy's side: a chain that marks what it allows, and chains for parts with exceptions. */
function policyChains(
  { policy, pods }: Selected,
  side: Side,
  state: PolicyState,
  config: PolicyConfig,
): Chain[] {
  const name = `POL-${side}-${policyName(policy)}`;
  const mark = `-j MARK --set-xmark ${bit(config)}/${bit(config)}`;
  const rules: string[] = [];
  const chains: Chain[] = [];
  const given = side === "in" ? policy.spec?.ingress : policy.spec?.egress;
  for (const [i, rule] of (given ?? []).entries()) {
    const peers = ("from" in rule ? rule.from : "to" in rule ? rule.to : undefined) ?? [];
    const from = peerMatches(peers, side, policy.metadata?.namespace ?? "", state, config);
    for (const [j, peer] of from.entries()) {
      const concerned = side === "in" ? pods : peer.pods;
      const ports = portMatches(rule.ports ?? [], concerned, config);
      const allow = ports.map((port) => {
        // A named port of a peer says the peer's address itself.
        const match = side === "out" && port.startsWith("-d ") ? "" : peer.match;
        return [match, port, mark].filter((part) => part !== "").join(" ");
      });
      if (peer.except.length === 0) {
        rules.push(...allow);
        continue;
      }
      const part = `${name}/${i}/${j}`;
      const skip = peer.except.map((match) => `${match} -j RETURN`);
      chains.push({ table: "filter", name: part, rules: [...skip, ...allow] });
      rules.push(`-j @${part}`);
    }
  }
  return [{ table: "filter", name, rules }, ...chains];
}

const bit = (config: PolicyConfig): string => `0x${config.markBit.toString(16)}`;

/** One pod's side: what none of its policies marked is dropped. */
function podChain(
  pod: PolicyPod,
  side: Side,
  names: readonly string[],
  config: PolicyConfig,
): Chain {
  return {
    table: "filter",
    name: `POD-${side}-${pod.uid}`,
    rules: [
      `-m comment --comment "${pod.namespace}/${pod.name}" -j MARK --set-xmark 0x0/${bit(config)}`,
      ...names.map((name) => `-j @POL-${side}-${name}`),
      `-m mark ! --mark ${bit(config)}/${bit(config)} -j DROP`,
    ],
  };
}

/** No rules at all where no policy concerns this node. */
export function planPolicies(state: PolicyState, config: PolicyConfig): RuleSet {
  const chains: Chain[] = [];
  const jumps: Record<Side, string[]> = { in: [], out: [] };
  for (const side of ["out", "in"] as const) {
    const byPod = new Map<PolicyPod, string[]>();
    for (const one of selected(state, side)) {
      chains.push(...policyChains(one, side, state, config));
      for (const pod of one.pods) {
        byPod.set(pod, [...(byPod.get(pod) ?? []), policyName(one.policy)]);
      }
    }
    for (const [pod, names] of [...byPod].sort(([a], [b]) => (a.uid < b.uid ? -1 : 1))) {
      chains.push(podChain(pod, side, names, config));
      for (const ip of pod.ips.filter((one) => familyOf(one) === config.family)) {
        jumps[side].push(`${side === "in" ? "-d" : "-s"} ${ip} -j @POD-${side}-${pod.uid}`);
      }
    }
  }
  if (chains.length === 0) return { chains: [], hooks: [] };
  // Answers belong to a connection that was allowed when it began.
  const known = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN";
  chains.push({ table: "filter", name: "POLICY", rules: [known, ...jumps.out, ...jumps.in] });
  // A pod's packets to its own node end in INPUT; the node's packets to its pods are free.
  chains.push({ table: "filter", name: "POLICY-NODE", rules: [known, ...jumps.out] });
  return {
    chains,
    hooks: [
      { table: "filter", from: "FORWARD", to: "POLICY" },
      { table: "filter", from: "INPUT", to: "POLICY-NODE" },
    ],
  };
}
