/** Labels of nodes that have newer names. */
import type { LabelSelector, NodeSelectorTerm } from "#resources/types.gen.ts";
import { labelValueErrors } from "#resources/validate/text.ts";

const use = (since: string, label: string): string =>
  `deprecated since ${since}; use "${label}" instead`;

const DEPRECATED: ReadonlyMap<string, string> = new Map([
  ["beta.kubernetes.io/arch", use("v1.14", "kubernetes.io/arch")],
  ["beta.kubernetes.io/os", use("v1.14", "kubernetes.io/os")],
  ["failure-domain.beta.kubernetes.io/region", use("v1.17", "topology.kubernetes.io/region")],
  ["failure-domain.beta.kubernetes.io/zone", use("v1.17", "topology.kubernetes.io/zone")],
  ["beta.kubernetes.io/instance-type", use("v1.17", "node.kubernetes.io/instance-type")],
  ["app.kubernetes.io/created-by", "deprecated since v1.9"],
  [
    "scheduler.alpha.kubernetes.io/preferAvoidPods",
    "deprecated since v1.22; use Taints and Tolerations instead",
  ],
  ["node-role.kubernetes.io/master", 'use "node-role.kubernetes.io/control-plane" instead'],
]);

export const labelDeprecation = (label: string | undefined): string | undefined =>
  DEPRECATED.get(label ?? "");

/** `path(label): message` for each label of a plain selector. */
export function selectorWarnings(
  labels: Readonly<Record<string, string>> | undefined,
  pathOf: (label: string) => string,
): string[] {
  return Object.keys(labels ?? {}).flatMap((label) => {
    const message = labelDeprecation(label);
    return message === undefined ? [] : [`${pathOf(label)}: ${message}`];
  });
}

type Expressions = NodeSelectorTerm["matchExpressions"] | LabelSelector["matchExpressions"];

export function expressionWarnings(expressions: Expressions, path: string): string[] {
  return (expressions ?? []).flatMap(({ key }, at) => {
    const message = labelDeprecation(key);
    return message === undefined ? [] : [`${path}[${at}].key: ${key} is ${message}`];
  });
}

/** `values`: whether they must be values of labels, which nothing else checks. */
export function termWarnings(term: NodeSelectorTerm, path: string, values = false): string[] {
  return (term.matchExpressions ?? []).flatMap((expression, at) => {
    const place = `${path}.matchExpressions[${at}]`;
    const message = labelDeprecation(expression.key);
    const odd = (expression.values ?? []).flatMap((value, index) =>
      labelValueErrors(value).map(
        (why) => `${place}.values[${index}]: ${value} is invalid, ${why}`,
      ),
    );
    return [
      ...(message === undefined ? [] : [`${place}.key: ${expression.key} is ${message}`]),
      ...(values ? odd : []),
    ];
  });
}
