/** Which requests a webhook or policy is about: rules and selectors. */
import type { Attributes } from "#api/admission.ts";
import { peek } from "#api/codec.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { LabelSelector, Namespace, RuleWithOperations } from "#resources/types.gen.ts";
import type { Store } from "#store/store.ts";

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value));

function resourceMatches(list: readonly string[], plural: string, subresource: string): boolean {
  return list.some((each) => {
    if (each === "*/*") return true;
    const [name = "", sub = ""] = each.split("/");
    if (name !== "*" && name !== plural) return false;
    return sub === "*" ? true : sub === subresource;
  });
}

export function ruleMatches(rule: RuleWithOperations, attributes: Attributes): boolean {
  const { resource, subresource, operation } = attributes;
  const { kind } = resource;
  if (!has(rule.operations, operation)) return false;
  if (!has(rule.apiGroups, kind.group) || !has(rule.apiVersions, kind.version)) return false;
  if (!resourceMatches(rule.resources ?? [], kind.plural, subresource)) return false;
  const { scope = "*" } = rule;
  // A namespace is itself not namespaced.
  return scope === "*" || (scope === "Namespaced") === kind.namespaced;
}

/** Labels of the namespace that a request is in, or of the namespace that it is about. */
async function namespaceLabels(
  store: Store,
  attributes: Attributes,
): Promise<Readonly<Record<string, string>> | undefined> {
  const { resource, namespace, object, old, operation } = attributes;
  if (resource.bucket === "core/namespaces") {
    const of = operation === "DELETE" ? old : object;
    return of?.metadata?.labels ?? {};
  }
  if (namespace === undefined) return undefined;
  const item = await store.get(`core/namespaces/${namespace}`);
  return item === undefined ? {} : (peek<Namespace>(item).metadata.labels ?? {});
}

const isEmpty = (selector: LabelSelector | undefined): boolean =>
  selector === undefined ||
  (Object.keys(selector.matchLabels ?? {}).length === 0 &&
    (selector.matchExpressions ?? []).length === 0);

export interface Selectors {
  readonly namespaceSelector?: LabelSelector;
  readonly objectSelector?: LabelSelector;
}

export async function selectorsMatch(
  store: Store,
  { namespaceSelector, objectSelector }: Selectors,
  attributes: Attributes,
): Promise<boolean> {
  if (objectSelector !== undefined && !isEmpty(objectSelector)) {
    const matches = matchLabelSelector(objectSelector);
    const either = [attributes.object, attributes.old].some(
      (object) => object !== undefined && matches(object.metadata?.labels ?? {}),
    );
    if (!either) return false;
  }
  if (namespaceSelector === undefined || isEmpty(namespaceSelector)) return true;
  const labels = await namespaceLabels(store, attributes);
  return labels === undefined || matchLabelSelector(namespaceSelector)(labels);
}
