/** Selectors of pod terms: the matching that filters and scores share. */
import { type LabelMatch, matchLabelSelector } from "#resources/selector.ts";
import type { LabelSelector, PodAffinityTerm } from "#resources/types.gen.ts";
import type { Kin } from "#scheduler/kin.ts";
import type { ClusterState } from "#scheduler/state.ts";

type Labels = Readonly<Record<string, string>>;

/** Whom a term is about: a pod, or all pods that are like it. */
export type Whom = Pick<Kin, "namespace" | "labels">;
export type KinMatch = (kin: Whom) => boolean;

/**
 * A selector with the values of some of the pod's own labels added (matchLabelKeys) or excluded
 * (mismatchLabelKeys), KEP-3243 and KEP-3633.
 */
export function selectorOf(
  selector: LabelSelector | undefined,
  own: Labels,
  keys: { match?: readonly string[] | undefined; mismatch?: readonly string[] | undefined } = {},
): LabelMatch {
  const base = matchLabelSelector(selector);
  const same = (keys.match ?? []).filter((key) => own[key] !== undefined);
  const other = (keys.mismatch ?? []).filter((key) => own[key] !== undefined);
  if (same.length + other.length === 0) return base;
  return (labels) =>
    base(labels) &&
    same.every((key) => labels[key] === own[key]) &&
    other.every((key) => labels[key] !== own[key]);
}

/** Which pods a term of `owner` speaks of. */
export function termMatch(term: PodAffinityTerm, owner: Whom, cluster: ClusterState): KinMatch {
  const labels = selectorOf(term.labelSelector, owner.labels, {
    match: term.matchLabelKeys,
    mismatch: term.mismatchLabelKeys,
  });
  const { namespaces: listed = [], namespaceSelector } = term;
  const own = listed.length === 0 && namespaceSelector === undefined;
  const named = new Set(own ? [owner.namespace] : listed);
  const selects = matchLabelSelector(namespaceSelector);
  const inNamespace = (name: string): boolean =>
    named.has(name) ||
    (namespaceSelector !== undefined && selects(cluster.namespaces.get(name) ?? {}));
  return (kin) => labels(kin.labels) && inNamespace(kin.namespace);
}

/** Pods by node that a match speaks of. Those being deleted count unless `staying`. */
export function countByNode(
  cluster: ClusterState,
  matches: KinMatch,
  options: { staying?: boolean } = {},
): Map<string, number> {
  const out = new Map<string, number>();
  const add = (counts: ReadonlyMap<string, number>): void => {
    for (const [node, count] of counts) out.set(node, (out.get(node) ?? 0) + count);
  };
  for (const kin of cluster.kins.all) {
    if (!matches(kin)) continue;
    add(kin.staying);
    if (!options.staying) add(kin.leaving);
  }
  return out;
}
