/** Rules of roles: whether one allows an access, and whether one covers another. Pure. */
import type { Access } from "#api/auth/authorize.ts";
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

function coversSingle(owner: PolicyRule, single: Single): boolean {
  if (!has(owner.verbs, single.verb)) return false;
  const { url, group = "", resource = "", name } = single;
  if (url !== undefined) {
    return (owner.nonResourceURLs ?? []).some((pattern) => urlMatches(pattern, url));
  }
  if (!has(owner.apiGroups, group)) return false;
  const slash = resource.indexOf("/");
  const plural = slash < 0 ? resource : resource.slice(0, slash);
  const subresource = slash < 0 ? undefined : resource.slice(slash + 1);
  if (!resourceMatches(owner, plural, subresource)) return false;
  const names = owner.resourceNames ?? [];
  return names.length === 0 || (name !== undefined && names.includes(name));
}

/** The rules of `wanted` that `owned` does not cover. */
export function uncovered(
  owned: readonly PolicyRule[],
  wanted: readonly PolicyRule[],
): PolicyRule[] {
  return wanted.filter((rule) => {
    for (const single of singles(rule)) {
      if (!owned.some((owner) => coversSingle(owner, single))) return true;
    }
    return false;
  });
}
