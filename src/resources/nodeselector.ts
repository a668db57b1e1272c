/** Which nodes a pod may run on: node selectors, node affinity and taints. */
import type {
  Node,
  NodeSelectorRequirement,
  NodeSelectorTerm,
  Pod,
  Taint,
  Toleration,
} from "#resources/types.gen.ts";

function requirement(
  r: NodeSelectorRequirement,
  values: Readonly<Record<string, string>>,
): boolean {
  const value = values[r.key];
  const listed = r.values ?? [];
  switch (r.operator) {
    case "In":
      return value !== undefined && listed.includes(value);
    case "NotIn":
      return value === undefined || !listed.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    case "Gt":
      return value !== undefined && Number(value) > Number(listed[0]);
    case "Lt":
      return value !== undefined && Number(value) < Number(listed[0]);
    default:
      return false;
  }
}

/** One term: all its requirements; an empty term matches nothing. */
export function matchesTerm(
  term: NodeSelectorTerm,
  labels: Readonly<Record<string, string>>,
  nodeName: string,
): boolean {
  const expressions = term.matchExpressions ?? [];
  const fields = term.matchFields ?? [];
  if (expressions.length + fields.length === 0) return false;
  return (
    expressions.every((r) => requirement(r, labels)) &&
    fields.every((r) => requirement(r, { "metadata.name": nodeName }))
  );
}

/** Whether one toleration covers a taint (pkg.go.dev/k8s.io/api/core/v1#Toleration). */
export function tolerates(toleration: Toleration, taint: Taint): boolean {
  if (toleration.effect && toleration.effect !== taint.effect) return false;
  if (toleration.key && toleration.key !== taint.key) return false;
  if (!toleration.key && toleration.operator !== "Exists") return false;
  return toleration.operator === "Exists" || (toleration.value ?? "") === (taint.value ?? "");
}

export const untolerated = (
  taints: readonly Taint[],
  tolerations: readonly Toleration[],
  effects: readonly string[],
): Taint | undefined =>
  taints.find(
    (taint) => effects.includes(taint.effect) && !tolerations.some((t) => tolerates(t, taint)),
  );

/**
 * `nodeSelector` and required node affinity
 * (kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node).
 */
export function selectsNode(pod: Pod, node: Node): boolean {
  const labels = node.metadata?.labels ?? {};
  const name = node.metadata?.name ?? "";
  const wanted = Object.entries(pod.spec?.nodeSelector ?? {});
  if (!wanted.every(([key, value]) => labels[key] === value)) return false;
  const required = pod.spec?.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution;
  if (required === undefined) return true;
  return required.nodeSelectorTerms.some((term) => matchesTerm(term, labels, name));
}
