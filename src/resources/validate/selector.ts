/** Selectors of labels and of nodes (apimachinery meta/v1 validation; core validation). */
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import { checkLabels } from "#resources/names.ts";
import type {
  LabelSelector,
  LabelSelectorRequirement,
  NodeSelector,
  NodeSelectorRequirement,
  NodeSelectorTerm,
} from "#resources/types.gen.ts";
import { byRule, each } from "#resources/validate/basic.ts";
import {
  labelValueErrors,
  qualifiedNameErrors,
  subdomainErrors,
} from "#resources/validate/text.ts";

type Requirement = LabelSelectorRequirement | NodeSelectorRequirement;

const values = (requirement: Requirement): readonly string[] => requirement.values ?? [];

/** How many values an operator takes. */
function operatorCauses(requirement: Requirement, path: string, numbers: boolean): Cause[] {
  const count = values(requirement).length;
  const { operator } = requirement;
  if (operator === "In" || operator === "NotIn") {
    if (count > 0) return [];
    const detail = "must be specified when `operator` is 'In' or 'NotIn'";
    return [required(`${path}.values`, detail)];
  }
  if (operator === "Exists" || operator === "DoesNotExist") {
    if (count === 0) return [];
    const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
    return [forbidden(`${path}.values`, detail)];
  }
  if (numbers && (operator === "Gt" || operator === "Lt")) {
    if (count === 1) return [];
    const detail = "must be specified single value when `operator` is 'Lt' or 'Gt'";
    return [required(`${path}.values`, detail)];
  }
  return [invalid(`${path}.operator`, operator ?? "", "not a valid selector operator")];
}

const labelCauses = (requirement: Requirement, path: string, numbers: boolean): Cause[] => [
  ...operatorCauses(requirement, path, numbers),
  ...byRule(qualifiedNameErrors, requirement.key ?? "", `${path}.key`),
  ...each(values(requirement), `${path}.values`, (value, at) =>
    byRule(labelValueErrors, value, at),
  ),
];

/** A map as errors show it: in the order of its keys. */
export const shownMap = (map: Readonly<Record<string, string>> | undefined) =>
  map && Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));

/** A selector as errors show it: with all fields that are always there, and no empty one. */
export const shownSelector = ({ matchLabels = {}, matchExpressions = [] }: LabelSelector) => ({
  ...(Object.keys(matchLabels).length > 0 && { matchLabels: shownMap(matchLabels) }),
  ...(matchExpressions.length > 0 && {
    matchExpressions: matchExpressions.map(({ key = "", operator = "", values: list = [] }) => ({
      key,
      operator,
      ...(list.length > 0 && { values: list }),
    })),
  }),
});

export function checkSelector(selector: LabelSelector | undefined, path: string): Cause[] {
  if (!selector) return [];
  return [
    ...checkLabels(selector.matchLabels, `${path}.matchLabels`),
    ...each(selector.matchExpressions, `${path}.matchExpressions`, (requirement, at) =>
      labelCauses(requirement, at, false),
    ),
  ];
}

/** Of a node's own fields only its name can be asked for. */
function nodeFieldCauses(requirement: NodeSelectorRequirement, path: string): Cause[] {
  const causes: Cause[] = [];
  if (requirement.operator !== "In" && requirement.operator !== "NotIn") {
    causes.push(
      invalid(`${path}.operator`, requirement.operator ?? "", "not a valid selector operator"),
    );
  } else if (values(requirement).length !== 1) {
    const detail =
      "must be only one value when `operator` is 'In' or 'NotIn' for node field selector";
    causes.push(required(`${path}.values`, detail));
  }
  if (requirement.key !== "metadata.name") {
    causes.push(invalid(`${path}.key`, requirement.key ?? "", "not a valid field selector key"));
    return causes;
  }
  const names = each(values(requirement), `${path}.values`, (value, at) =>
    byRule(subdomainErrors, value, at),
  );
  return [...causes, ...names];
}

export const checkNodeTerm = (term: NodeSelectorTerm, path: string): Cause[] => [
  ...each(term.matchExpressions, `${path}.matchExpressions`, (requirement, at) =>
    labelCauses(requirement, at, true),
  ),
  ...each(term.matchFields, `${path}.matchFields`, nodeFieldCauses),
];

export function checkNodeSelector(selector: NodeSelector, path: string): Cause[] {
  const terms = selector.nodeSelectorTerms ?? [];
  const at = `${path}.nodeSelectorTerms`;
  if (terms.length === 0) return [required(at, "must have at least one node selector term")];
  return each(terms, at, checkNodeTerm);
}
