/** Which requests a policy is about, and in which version it wants to see them. */
import { ruleMatches, selectorsMatch } from "#api/admission/match.ts";
import type { Attributes } from "#api/admission.ts";
import { objectIn } from "#api/custom/convert.ts";
import { cloneJson } from "#api/json.ts";
import type { Registry, Resource } from "#api/registry.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { MatchResources, NamedRuleWithOperations } from "#resources/types.gen.ts";
import type { Store } from "#store/store.ts";

const named = ({ resourceNames = [] }: NamedRuleWithOperations, { name }: Attributes): boolean =>
  resourceNames.length === 0 || resourceNames.includes(name);

const chosenBy = (rules: readonly NamedRuleWithOperations[], attributes: Attributes): boolean =>
  rules.some((rule) => named(rule, attributes) && ruleMatches(rule, attributes));

/** Other versions of the same resource, as the same objects can be seen in. */
export function* versionsOf(registry: Registry, resource: Resource): Generator<Resource> {
  yield resource;
  for (const other of registry.all()) {
    if (other !== resource && other.bucket === resource.bucket) yield other;
  }
}

/**
 * The version that the rules speak of; undefined where they do not mean this request. Without rules
 * everything is meant.
 */
function chosenVersion(
  registry: Registry,
  match: MatchResources,
  attributes: Attributes,
): Resource | undefined {
  const { resource } = attributes;
  const rules = match.resourceRules ?? [];
  const excluded = match.excludeResourceRules ?? [];
  const equivalent = match.matchPolicy !== "Exact";
  const candidates = equivalent ? [...versionsOf(registry, resource)] : [resource];
  if (candidates.some((each) => chosenBy(excluded, { ...attributes, resource: each }))) {
    return undefined;
  }
  if (rules.length === 0) return resource;
  return candidates.find((each) => chosenBy(rules, { ...attributes, resource: each }));
}

export async function matchingVersion(
  parts: { readonly store: Store; readonly registry: Registry },
  match: MatchResources | undefined,
  attributes: Attributes,
): Promise<Resource | undefined> {
  if (match === undefined) return attributes.resource;
  const version = chosenVersion(parts.registry, match, attributes);
  if (version === undefined) return undefined;
  return (await selectorsMatch(parts.store, match, attributes)) ? version : undefined;
}

/** An object of the store's version in another one; what is of another kind stays as it is. */
export async function seenIn<T extends ApiObject>(
  version: Resource,
  object: T | undefined,
): Promise<ApiObject | undefined> {
  if (object === undefined || object.kind !== version.stored.kind.kind) return object;
  if (version.convert !== undefined) return objectIn(version, cloneJson(object));
  const { storedAs, kind } = version.kind;
  if (storedAs === undefined || object.apiVersion === version.apiVersion) return object;
  return { ...storedAs.fromStored(object), kind, apiVersion: version.apiVersion };
}
