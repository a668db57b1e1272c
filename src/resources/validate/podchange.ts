/** Changes to a pod's scheduling that only add (KEP-3838). */
import { sameTyped } from "#resources/equal.ts";
import { type Cause, forbidden, invalid } from "#resources/field.ts";
import type {
  NodeAffinity,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Toleration,
} from "#resources/types.gen.ts";

const TOLERATION = "io.k8s.api.core.v1.Toleration";
const TERM = "io.k8s.api.core.v1.NodeSelectorTerm";
const REQUIREMENT = "io.k8s.api.core.v1.NodeSelectorRequirement";

const withoutSeconds = ({ tolerationSeconds: _, ...rest }: Toleration) => rest;

/** Tolerations stay, but for how long they last. */
export function checkTolerationAdditions(
  tolerations: readonly Toleration[] | undefined,
  old: readonly Toleration[] | undefined,
): Cause[] {
  const next = (tolerations ?? []).map(withoutSeconds);
  const gone = (old ?? []).some(
    (before) => !next.some((after) => sameTyped(TOLERATION, after, withoutSeconds(before))),
  );
  if (!gone) return [];
  const detail = "existing toleration can not be modified except its tolerationSeconds";
  return [forbidden("spec.tolerations", detail)];
}

type Requirements = readonly NodeSelectorRequirement[] | undefined;

const onlyAdds = (next: Requirements, old: Requirements): boolean =>
  (old ?? []).every((before, index) => sameTyped(REQUIREMENT, before, next?.[index]));

function termAdds(next: NodeSelectorTerm, old: NodeSelectorTerm): boolean {
  const empty = (old.matchExpressions ?? []).length + (old.matchFields ?? []).length === 0;
  // A term without requirements selects nothing: additions would make it select something.
  if (empty) return sameTyped(TERM, next, old);
  return (
    onlyAdds(next.matchExpressions, old.matchExpressions) &&
    onlyAdds(next.matchFields, old.matchFields)
  );
}

/** Required terms of a gated pod may only grow narrower. */
export function checkNodeTermAdditions(
  affinity: NodeAffinity | undefined,
  old: NodeAffinity | undefined,
): Cause[] {
  const field = "requiredDuringSchedulingIgnoredDuringExecution";
  const before = old?.[field]?.nodeSelectorTerms ?? [];
  if (before.length === 0) return [];
  const next = affinity?.[field]?.nodeSelectorTerms ?? [];
  const at = `spec.affinity.nodeAffinity.${field}.nodeSelectorTerms`;
  if (next.length !== before.length) {
    const detail = "no additions/deletions to non-empty NodeSelectorTerms list are allowed";
    return [invalid(at, next, detail)];
  }
  return before.flatMap((term, index) => {
    const after = next[index] ?? {};
    if (termAdds(after, term)) return [];
    const detail = "only additions are allowed (no mutations or deletions)";
    return [invalid(`${at}[${index}]`, after, detail)];
  });
}
