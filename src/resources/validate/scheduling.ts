/** Where a pod may run (core validation; "Assigning Pods to Nodes", "Taints and Tolerations"). */
import { type Cause, duplicate, forbidden, invalid, required } from "#resources/field.ts";
import type {
  Affinity,
  LabelSelector,
  NodeAffinity,
  PodAffinity,
  PodAffinityTerm,
  Toleration,
  TopologySpreadConstraint,
} from "#resources/types.gen.ts";
import { byRule, each, positive, supported } from "#resources/validate/basic.ts";
import { checkNodeSelector, checkNodeTerm, checkSelector } from "#resources/validate/selector.ts";
import { labelErrors, labelValueErrors, qualifiedNameErrors } from "#resources/validate/text.ts";

const EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"];
const REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution";

const weightCauses = (weight: number | undefined, path: string): Cause[] =>
  weight !== undefined && weight > 0 && weight <= 100
    ? []
    : [invalid(`${path}.weight`, weight ?? 0, "must be in the range 1-100")];

const nodeCauses = (affinity: NodeAffinity, path: string): Cause[] => [
  ...(affinity[REQUIRED] ? checkNodeSelector(affinity[REQUIRED], `${path}.${REQUIRED}`) : []),
  ...each(affinity[PREFERRED], `${path}.${PREFERRED}`, (term, at) => [
    ...weightCauses(term.weight, at),
    ...checkNodeTerm(term.preference ?? {}, `${at}.preference`),
  ]),
];

interface KeyLists {
  matchLabelKeys?: string[] | undefined;
  mismatchLabelKeys?: string[] | undefined;
  labelSelector?: LabelSelector | undefined;
}

/** How often each key is part of the selector. */
function keyCounts(selector: LabelSelector): Map<string, number> {
  const counts = new Map<string, number>();
  const keys = [
    ...Object.keys(selector.matchLabels ?? {}),
    ...(selector.matchExpressions ?? []).map((requirement) => requirement.key),
  ];
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/**
 * The API merges these keys into the selector, so one more than once was there before (KEP-3633).
 */
function keyListCauses(term: KeyLists, path: string): Cause[] {
  const counts = keyCounts(term.labelSelector ?? {});
  const causes: Cause[] = [];
  for (const list of ["matchLabelKeys", "mismatchLabelKeys"] as const) {
    const keys = term[list] ?? [];
    if (keys.length > 0 && !term.labelSelector) {
      const detail = "must not be specified when labelSelector is not set";
      causes.push(forbidden(`${path}.${list}`, detail));
    }
    for (const [index, key] of keys.entries()) {
      const at = `${path}.${list}[${index}]`;
      if (term.labelSelector) causes.push(...byRule(qualifiedNameErrors, key, at));
      if (list === "matchLabelKeys" && (counts.get(key) ?? 0) > 1) {
        const detail = "exists in both matchLabelKeys and labelSelector";
        causes.push(invalid(`${path}[${index}]`, key, detail));
      }
      if (list === "matchLabelKeys" && term.mismatchLabelKeys?.includes(key)) {
        causes.push(invalid(at, key, "exists in both matchLabelKeys and mismatchLabelKeys"));
      }
    }
  }
  return causes;
}

function podTermCauses(term: PodAffinityTerm | undefined, path: string): Cause[] {
  const { labelSelector, namespaceSelector, namespaces, topologyKey } = term ?? { topologyKey: "" };
  return [
    ...checkSelector(labelSelector, `${path}.labelSelector`),
    ...checkSelector(namespaceSelector, `${path}.namespaceSelector`),
    ...(namespaces ?? []).flatMap((name) => byRule(labelErrors, name, `${path}.namespace`)),
    ...keyListCauses(term ?? {}, path),
    ...(topologyKey ? [] : [required(`${path}.topologyKey`, "can not be empty")]),
    ...byRule(qualifiedNameErrors, topologyKey ?? "", `${path}.topologyKey`),
  ];
}

const podCauses = (affinity: PodAffinity, path: string): Cause[] => [
  ...each(affinity[REQUIRED], `${path}.${REQUIRED}`, podTermCauses),
  ...each(affinity[PREFERRED], `${path}.${PREFERRED}`, (term, at) => [
    ...weightCauses(term.weight, at),
    ...podTermCauses(term.podAffinityTerm, `${at}.podAffinityTerm`),
  ]),
];

export function checkAffinity(affinity: Affinity | undefined, path: string): Cause[] {
  if (!affinity) return [];
  const { nodeAffinity, podAffinity, podAntiAffinity } = affinity;
  return [
    ...(nodeAffinity ? nodeCauses(nodeAffinity, `${path}.nodeAffinity`) : []),
    ...(podAffinity ? podCauses(podAffinity, `${path}.podAffinity`) : []),
    ...(podAntiAffinity ? podCauses(podAntiAffinity, `${path}.podAntiAffinity`) : []),
  ];
}

function tolerationValue(toleration: Toleration, path: string): Cause[] {
  const { operator, value = "" } = toleration;
  if (!operator || operator === "Equal") {
    const errors = labelValueErrors(value);
    return errors.length === 0 ? [] : [invalid(path, value, errors.join(";"))];
  }
  if (operator !== "Exists") return supported(operator, ["Equal", "Exists"], path);
  if (value === "") return [];
  return [invalid(path, value, "value must be empty when `operator` is 'Exists'")];
}

export const checkTolerations = (
  tolerations: readonly Toleration[] | undefined,
  path: string,
): Cause[] =>
  each(tolerations, path, (toleration, at) => {
    const { key, operator, effect, tolerationSeconds } = toleration;
    const causes = key ? byRule(qualifiedNameErrors, key, `${at}.key`) : [];
    if (!key && operator !== "Exists") {
      const detail =
        'operator must be Exists when `key` is empty, which means "match all values and all keys"';
      causes.push(invalid(`${at}.operator`, operator ?? "", detail));
    }
    if (tolerationSeconds !== undefined && effect !== "NoExecute") {
      const detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
      causes.push(invalid(`${at}.effect`, effect ?? "", detail));
    }
    causes.push(...tolerationValue(toleration, `${at}.operator`));
    return effect ? [...causes, ...supported(effect, EFFECTS, `${at}.effect`)] : causes;
  });

function domainCauses(constraint: TopologySpreadConstraint, path: string): Cause[] {
  const { minDomains, whenUnsatisfiable } = constraint;
  if (minDomains === undefined) return [];
  const causes = positive(minDomains, path);
  if (whenUnsatisfiable === "DoNotSchedule") return causes;
  const only = "can only use minDomains if whenUnsatisfiable=DoNotSchedule";
  const detail = `${only}, not ${whenUnsatisfiable ?? ""}`;
  return [...causes, invalid(path, minDomains, detail)];
}

const spreadKey = (constraint: TopologySpreadConstraint): string =>
  `{${constraint.topologyKey}, ${constraint.whenUnsatisfiable}}`;

export const checkSpread = (
  constraints: readonly TopologySpreadConstraint[] | undefined,
  path: string,
): Cause[] =>
  each(constraints, path, (constraint, at, index) => {
    const causes = positive(constraint.maxSkew, `${at}.maxSkew`);
    if (!constraint.topologyKey) {
      causes.push(required(`${at}.topologyKey`, "can not be empty"));
    }
    const actions = ["DoNotSchedule", "ScheduleAnyway"];
    causes.push(
      ...supported(constraint.whenUnsatisfiable ?? "", actions, `${at}.whenUnsatisfiable`),
    );
    const key = spreadKey(constraint);
    if ((constraints ?? []).slice(index + 1).some((other) => spreadKey(other) === key)) {
      causes.push(duplicate(`${at}.{topologyKey, whenUnsatisfiable}`, key));
    }
    const policies = ["Honor", "Ignore"];
    return [
      ...causes,
      ...domainCauses(constraint, `${at}.minDomains`),
      ...supported(constraint.nodeAffinityPolicy, policies, `${at}.nodeAffinityPolicy`),
      ...supported(constraint.nodeTaintsPolicy, policies, `${at}.nodeTaintsPolicy`),
      ...keyListCauses(constraint, at),
      ...checkSelector(constraint.labelSelector, `${at}.labelSelector`),
    ];
  });
