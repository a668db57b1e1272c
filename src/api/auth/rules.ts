/** Rules of roles: whether one allows an access, and whether one covers another. Pure. */
import type { Access } from "#api/auth/authorize.ts";
import { limits } from "#base/limits.ts";
import type { PolicyRule } from "#resources/types.gen.ts";

const has = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes("*") || list.includes(value));

function resourceMatches(
  rule: PolicyRule,
  plural: string,
  subresource: string | undefined,
): boolean {
  const wanted = subresource ? `${plural}/${subresource}` : plural;
  for (const each of rule.resources ?? []) {
    if (each === "*" || each === wanted) return true;
    if (subresource && each === `*/${subresource}`) return true;
  }
  return false;
}

export const urlMatches = (pattern: string, path: string): boolean =>
  pattern === "*" ||
  pattern === path ||
  (pattern.endsWith("*") && path.startsWith(pattern.slice(0, -1)));

export function allows(rule: PolicyRule, access: Access): boolean {
  if (!has(rule.verbs, access.verb)) return false;
  const { path } = access;
  if (path !== undefined) {
    return (rule.nonResourceURLs ?? []).some((pattern) => urlMatches(pattern, path));
  }
  if (!has(rule.apiGroups, access.group ?? "")) return false;
  if (!resourceMatches(rule, access.plural ?? "", access.subresource)) return false;
  const names = rule.resourceNames ?? [];
  return names.length === 0 || names.includes(access.name ?? "");
}

interface Single {
  readonly verb: string;
  readonly group?: string;
  readonly resource?: string;
  readonly name?: string;
  readonly url?: string;
}

/** A rule taken apart into its single permissions. */
function* singles(rule: PolicyRule): Generator<Single> {
  for (const verb of rule.verbs) {
    for (const url of rule.nonResourceURLs ?? []) yield { verb, url };
    for (const group of rule.apiGroups ?? []) {
      for (const resource of rule.resources ?? []) {
        const names = rule.resourceNames ?? [];
        if (names.length === 0) yield { verb, group, resource };
        for (const name of names) yield { verb, group, resource, name };
      }
    }
  }
}

const coversUrl = (owner: PolicyRule, url: string): boolean =>
  (owner.nonResourceURLs ?? []).some((pattern) => urlMatches(pattern, url));

function coversResource(owner: PolicyRule, resource: string): boolean {
  const slash = resource.indexOf("/");
  const plural = slash < 0 ? resource : resource.slice(0, slash);
  const subresource = slash < 0 ? undefined : resource.slice(slash + 1);
  return resourceMatches(owner, plural, subresource);
}

function coversName(owner: PolicyRule, name: string | undefined): boolean {
  const names = owner.resourceNames ?? [];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

function coversSingle(owner: PolicyRule, single: Single): boolean {
  if (!has(owner.verbs, single.verb)) return false;
  const { url, group = "", resource = "", name } = single;
  if (url !== undefined) return coversUrl(owner, url);
  return has(owner.apiGroups, group) && coversResource(owner, resource) && coversName(owner, name);
}

/** True if one rule covers all combinations of another. Compares list by list. */
function coversWhole(owner: PolicyRule, rule: PolicyRule): boolean {
  const { nonResourceURLs = [], apiGroups = [], resources = [], resourceNames = [] } = rule;
  const names = resourceNames.length === 0 ? [undefined] : resourceNames;
  return (
    rule.verbs.every((verb) => has(owner.verbs, verb)) &&
    nonResourceURLs.every((url) => coversUrl(owner, url)) &&
    apiGroups.every((group) => has(owner.apiGroups, group)) &&
    resources.every((resource) => coversResource(owner, resource)) &&
    (resources.length === 0 || names.every((name) => coversName(owner, name)))
  );
}

/** Removes duplicates, because lists may repeat a value. */
function distinct(rule: PolicyRule): PolicyRule {
  const once = (list: readonly string[] | undefined): string[] => [...new Set(list)];
  return {
    verbs: once(rule.verbs),
    nonResourceURLs: once(rule.nonResourceURLs),
    apiGroups: once(rule.apiGroups),
    resources: once(rule.resources),
    resourceNames: once(rule.resourceNames),
  };
}

/** Counts the comparisons of one escalation check. */
class Budget {
  #left = limits.ruleComparisonsMax;

  /** Returns false when the limit is reached. */
  take(comparisons: number): boolean {
    this.#left -= comparisons;
    return this.#left >= 0;
  }
}

const sizeOf = (rule: PolicyRule): number =>
  Object.values(rule).reduce((sum, list) => sum + list.length, 0);

function isCovered(owned: readonly PolicyRule[], rule: PolicyRule, budget: Budget): boolean {
  if (!budget.take(sizeOf(rule) * owned.length)) return false;
  if (owned.some((owner) => coversWhole(owner, rule))) return true;
  for (const single of singles(rule)) {
    if (!budget.take(owned.length + 1)) return false;
    if (!owned.some((owner) => coversSingle(owner, single))) return false;
  }
  return true;
}

/** The rules of `wanted` that `owned` does not cover, or not within the limit of comparisons. */
export function uncovered(
  owned: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): PolicyRule[] {
  const budget = new Budget();
  return wanted.filter((rule) => !isCovered(owned, distinct(rule), budget));
}
