/**
 * Required pod affinity and anti-affinity, of the new pod and of those that run already
 * (kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node).
 */
import type { PodAffinityTerm } from "#resources/types.gen.ts";
import type { PodFacts } from "#scheduler/facts.ts";
import type { NodeTest, Refusal } from "#scheduler/filters.ts";
import { countByNode, type KinMatch, termMatch } from "#scheduler/selectors.ts";
import type { ClusterState } from "#scheduler/state.ts";

const because = (reason: string, final: boolean): Refusal => ({ reasons: [reason], final });
const NOT_NEAR = because("node(s) didn't match pod affinity rules", true);
const NOT_APART = because("node(s) didn't match pod anti-affinity rules", false);
const NOT_WANTED = because("node(s) didn't satisfy existing pods anti-affinity rules", false);

const requiredTerms = (
  affinity: { requiredDuringSchedulingIgnoredDuringExecution?: PodAffinityTerm[] } | undefined,
): readonly PodAffinityTerm[] => affinity?.requiredDuringSchedulingIgnoredDuringExecution ?? [];

interface Term {
  key: string;
  /** Values of the topology key with a pod that matches. */
  domains: Set<string>;
}

function addDomains(term: Term, onNodes: Iterable<string>, cluster: ClusterState): void {
  for (const name of onNodes) {
    const node = cluster.nodes.get(name);
    const value = node?.node === undefined ? undefined : node.labels[term.key];
    if (value !== undefined) term.domains.add(value);
  }
}

function termOf(key: string, matches: KinMatch, cluster: ClusterState): Term {
  const term: Term = { key, domains: new Set() };
  addDomains(term, countByNode(cluster, matches).keys(), cluster);
  return term;
}

/** Domains where running pods' anti-affinity keeps the new pod out. */
function keptOut(pod: PodFacts, cluster: ClusterState): Term[] {
  const byKey = new Map<string, Term>();
  for (const kin of cluster.kins.withAffinity) {
    for (const { topologyKey: key, ...rest } of requiredTerms(kin.affinity?.podAntiAffinity)) {
      if (!termMatch({ topologyKey: key, ...rest }, kin, cluster)(pod)) continue;
      const term = byKey.get(key) ?? { key, domains: new Set<string>() };
      byKey.set(key, term);
      addDomains(term, kin.staying.keys(), cluster);
      addDomains(term, kin.leaving.keys(), cluster);
    }
  }
  return [...byKey.values()];
}

/** The terms that a pod near which the new one wants to be must match all together. */
function nearTerms(pod: PodFacts, cluster: ClusterState): { terms: Term[]; first: boolean } {
  const near = requiredTerms(pod.pod.spec?.affinity?.podAffinity);
  const matches = near.map((term) => termMatch(term, pod, cluster));
  const all: KinMatch = (kin) => matches.every((match) => match(kin));
  const terms = near.map(({ topologyKey }) => termOf(topologyKey, all, cluster));
  // The first pod of a group that wants to be together may go anywhere.
  const first = terms.every(({ domains }) => domains.size === 0) && all(pod);
  return { terms, first };
}

export function interPodAffinity(pod: PodFacts, cluster: ClusterState): NodeTest | undefined {
  const { terms: wanted, first } = nearTerms(pod, cluster);
  const unwanted = requiredTerms(pod.pod.spec?.affinity?.podAntiAffinity).map((term) =>
    termOf(term.topologyKey, termMatch(term, pod, cluster), cluster),
  );
  const existing = keptOut(pod, cluster);
  if (wanted.length + unwanted.length + existing.length === 0) return undefined;
  return ({ labels }) => {
    const within = ({ key, domains }: Term): boolean => {
      const value = labels[key];
      return value !== undefined && domains.has(value);
    };
    const near = wanted.every((term) => labels[term.key] !== undefined && (first || within(term)));
    if (!near) return NOT_NEAR;
    if (unwanted.some(within)) return NOT_APART;
    return existing.some(within) ? NOT_WANTED : undefined;
  };
}
