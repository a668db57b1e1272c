/**
 * Resource names and quantities (core validation; "Resource Management for Pods and Containers").
 */
import { type Cause, duplicate, forbidden, invalid, required } from "#resources/field.ts";
import { HUGE_PAGES } from "#resources/hugepages.ts";
import { compareQuantity, milliValue, quantityValue } from "#resources/quantity.ts";
import type { ResourceRequirements } from "#resources/types.gen.ts";
import { byRule, each } from "#resources/validate/basic.ts";
import { labelErrors, qualifiedNameErrors } from "#resources/validate/text.ts";

const CONTAINER_RESOURCES = ["cpu", "memory", "ephemeral-storage"];
/** Counted in whole objects. */
const INTEGER_RESOURCES = new Set([
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "configmaps",
  "persistentvolumeclaims",
  "services.nodeports",
  "services.loadbalancers",
]);
const STANDARD_RESOURCES = new Set([
  ...INTEGER_RESOURCES,
  ...["cpu", "memory", "ephemeral-storage", "storage"].flatMap((name) => [
    name,
    `requests.${name}`,
    `limits.${name}`,
  ]),
]);

export const isHugePages = (name: string): boolean => name.startsWith(HUGE_PAGES);

/** Without a prefix, or one of Kubernetes' own. */
const isNative = (name: string): boolean => !name.includes("/") || name.includes("kubernetes.io/");

const mayOvercommit = (name: string): boolean => isNative(name) && !isHugePages(name);

export const isExtended = (name: string): boolean =>
  !isNative(name) &&
  !name.startsWith("requests.") &&
  qualifiedNameErrors(`requests.${name}`).length === 0;

export function checkResourceName(name: string, path: string): Cause[] {
  const causes = byRule(qualifiedNameErrors, name, path);
  if (causes.length > 0 || name.includes("/")) return causes;
  if (STANDARD_RESOURCES.has(name) || isHugePages(name.replace(/^requests\./, ""))) return [];
  return [invalid(path, name, "must be a standard resource type or fully qualified")];
}

export function checkContainerResourceName(name: string, path: string): Cause[] {
  const causes = checkResourceName(name, path);
  if (!name.includes("/")) {
    if (CONTAINER_RESOURCES.includes(name) || isHugePages(name)) return causes;
    return [...causes, invalid(path, name, "must be a standard resource for containers")];
  }
  if (isNative(name) || isExtended(name)) return causes;
  return [...causes, invalid(path, name, "doesn't follow extended resource name standard")];
}

/**
 * Causes to refuse a text as a quantity; the API's decoding has named it already where it could.
 */
function readable(quantity: string): boolean {
  try {
    quantityValue(quantity);
    return true;
  } catch {
    return false;
  }
}

const UNREADABLE =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** A quantity that is not negative, and whole where it counts objects. */
export function checkQuantity(quantity: string, path: string, resource = ""): Cause[] {
  if (!readable(quantity)) return [invalid(path, quantity, UNREADABLE)];
  const causes: Cause[] = [];
  if (quantityValue(quantity) < 0) {
    causes.push(invalid(path, quantity, "must be greater than or equal to 0"));
  }
  const whole = INTEGER_RESOURCES.has(resource) || isExtended(resource);
  if (whole && milliValue(quantity) % 1000 !== 0) {
    causes.push(invalid(path, quantity, "must be an integer"));
  }
  return causes;
}

function hugePagesCauses(name: string, quantity: string, path: string): Cause[] {
  const size = name.slice(HUGE_PAGES.length);
  const whole =
    readable(size) &&
    readable(quantity) &&
    quantityValue(size) > 0 &&
    quantityValue(quantity) % quantityValue(size) === 0;
  if (whole) return [];
  return [invalid(path, quantity, `${quantity} is not positive integer multiple of ${name}`)];
}

type Resources = Readonly<Record<string, string>>;

type NameRule = (name: string, path: string) => Cause[];

function listCauses(list: Resources | undefined, nameRule: NameRule, path: string): Cause[] {
  return Object.entries(list ?? {}).flatMap(([name, quantity]) => {
    const at = `${path}[${name}]`;
    return [
      ...nameRule(name, at),
      ...checkQuantity(quantity, at, name),
      ...(isHugePages(name) ? hugePagesCauses(name, quantity, at) : []),
    ];
  });
}

/** What is asked for must fit under the limit; where nothing can be overcommitted, be the limit. */
function requestCauses(requirements: ResourceRequirements, path: string): Cause[] {
  const limits = requirements.limits ?? {};
  return Object.entries(requirements.requests ?? {}).flatMap(([name, request]) => {
    const limit = limits[name];
    if (limit === undefined) {
      if (mayOvercommit(name)) return [];
      return [required(`${path}.limits`, "Limit must be set for non overcommitable resources")];
    }
    if (!readable(request) || !readable(limit)) return [];
    const order = compareQuantity(request, limit);
    if (!mayOvercommit(name) && order !== 0) {
      return [invalid(`${path}.requests`, request, `must be equal to ${name} limit of ${limit}`)];
    }
    if (order <= 0) return [];
    const detail = `must be less than or equal to ${name} limit of ${limit}`;
    return [invalid(`${path}.requests`, request, detail)];
  });
}

function claimCauses(
  requirements: ResourceRequirements,
  claims: ReadonlySet<string>,
  path: string,
): Cause[] {
  const seen = new Set<string>();
  return each(requirements.claims, path, ({ name, request }, at) => {
    if (!name) return [required(at)];
    const key = request ? `${name}/${request}` : name;
    const causes = request ? byRule(labelErrors, request, `${at}.request`) : [];
    const overlaps = [...seen].some((other) => !request && other.startsWith(`${name}/`));
    if (seen.has(name) || seen.has(key) || overlaps) causes.push(duplicate(at, key));
    seen.add(key);
    if (!claims.has(name)) {
      const known = [...claims].sort().join(", ");
      const detail = known === "" ? " which is empty" : `: ${known}`;
      causes.push({
        reason: "FieldValueNotFound",
        field: at,
        message:
          `Not found: ${JSON.stringify(name)}: must be one of the names in ` +
          `pod.spec.resourceClaims${detail}`,
      });
    }
    return causes;
  });
}

/** The resources of a container; `claims` are the names of the pod's resource claims. */
export function checkRequirements(
  requirements: ResourceRequirements | undefined,
  claims: ReadonlySet<string>,
  path: string,
  nameRule: NameRule = checkContainerResourceName,
): Cause[] {
  if (!requirements) return [];
  const { limits, requests } = requirements;
  if (!limits && !requests && !requirements.claims) return [];
  const causes = [
    ...listCauses(limits, nameRule, `${path}.limits`),
    ...listCauses(requests, nameRule, `${path}.requests`),
    ...requestCauses(requirements, path),
    ...claimCauses(requirements, claims, `${path}.claims`),
  ];
  const names = [...Object.keys(limits ?? {}), ...Object.keys(requests ?? {})];
  if (names.some(isHugePages) && !names.includes("cpu") && !names.includes("memory")) {
    causes.push(forbidden(path, "HugePages require cpu or memory"));
  }
  return causes;
}
