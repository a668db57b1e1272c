/** Limits and quotas of namespaces (core validation; "Limit Ranges", "Resource Quotas"). */
import { sameValue } from "#resources/equal.ts";
import { type Cause, duplicate, forbidden, invalid, required } from "#resources/field.ts";
import { compareQuantity, quantityValue } from "#resources/quantity.ts";
import type {
  LimitRange,
  LimitRangeItem,
  ResourceQuota,
  ResourceQuotaSpec,
  ScopedResourceSelectorRequirement,
} from "#resources/types.gen.ts";
import { byRule, each } from "#resources/validate/basic.ts";
import {
  checkContainerResourceName,
  checkQuantity,
  checkResourceName,
} from "#resources/validate/resources.ts";
import { shownAs } from "#resources/validate/shown.ts";
import { qualifiedNameErrors } from "#resources/validate/text.ts";

const LISTS = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] as const;
const LIMIT_TYPES = ["Container", "PersistentVolumeClaim", "Pod"];

const REQUEST = "defaultRequest" as const;

/** Pairs of lists where the first may not be larger; where the error is, what it shows and says. */
const ORDER = [
  ["min", "max", "min", "min", "min value", "max value"],
  ["min", "defaultRequest", REQUEST, REQUEST, "min value", "default request value"],
  ["defaultRequest", "max", REQUEST, REQUEST, "default request value", "max value"],
  ["defaultRequest", "default", REQUEST, REQUEST, "default request value", "default limit value"],
  ["min", "default", "default", "min", "min value", "default value"],
  ["default", "max", "default", "max", "default value", "max value"],
] as const;

function orderCauses(item: LimitRangeItem, path: string): Cause[] {
  return ORDER.flatMap(([smaller, larger, at, shown, smallerName, largerName]) =>
    Object.entries(item[smaller] ?? {}).flatMap(([name, low]) => {
      const high = item[larger]?.[name];
      if (high === undefined || compareQuantity(low, high) <= 0) return [];
      const detail = `${smallerName} ${low} is greater than ${largerName} ${high}`;
      return [invalid(`${path}.${at}[${name}]`, item[shown]?.[name], detail)];
    }),
  );
}

function ratioCauses(item: LimitRangeItem, path: string): Cause[] {
  return Object.entries(item.maxLimitRequestRatio ?? {}).flatMap(([name, ratio]) => {
    const at = `${path}.maxLimitRequestRatio[${name}]`;
    if (compareQuantity(ratio, "1") < 0)
      return [invalid(at, ratio, `ratio ${ratio} is less than 1`)];
    const min = item.min?.[name];
    const max = item.max?.[name];
    if (min === undefined || max === undefined) return [];
    const most = quantityValue(max) / quantityValue(min);
    if (quantityValue(ratio) <= most) return [];
    return [invalid(at, ratio, `ratio ${ratio} is greater than max/min = ${most.toFixed(6)}`)];
  });
}

function itemCauses(item: LimitRangeItem, path: string): Cause[] {
  const ofPods = item.type === "Pod" || item.type === "Container";
  const nameRule = ofPods ? checkContainerResourceName : checkResourceName;
  const causes = LISTS.flatMap((list) => {
    const names = Object.keys(item[list] ?? {});
    if (item.type !== "Pod" || !list.startsWith("default") || names.length === 0) {
      return names.flatMap((name) => nameRule(name, `${path}.${list}[${name}]`));
    }
    return [forbidden(`${path}.${list}`, "may not be specified when `type` is 'Pod'")];
  });
  const sized = item.min?.["storage"] ?? item.max?.["storage"];
  if (item.type === "PersistentVolumeClaim" && sized === undefined) {
    const detail = "either minimum or maximum storage value is required, but neither was provided";
    causes.push(required(`${path}.limits`, detail));
  }
  const { default: _, defaultRequest: __, ...ofPod } = item;
  const compared = item.type === "Pod" ? ofPod : item;
  return [...causes, ...orderCauses(compared, path), ...ratioCauses(item, path)];
}

export function validateLimitRange(range: LimitRange): Cause[] {
  const seen = new Set<string>();
  return each(range.spec?.limits, "spec.limits", (item, at) => {
    const { type = "" } = item;
    const causes = byRule(qualifiedNameErrors, type, `${at}.type`);
    if (causes.length === 0 && !type.includes("/") && !LIMIT_TYPES.includes(type)) {
      const detail = "must be a standard limit type or fully qualified";
      causes.push(invalid(`${at}.type`, type, detail));
    }
    if (seen.has(type)) causes.push(duplicate(`${at}.type`, type));
    seen.add(type);
    return [...causes, ...itemCauses(item, at)];
  });
}

const OBJECTS = [
  "pods",
  "resourcequotas",
  "services",
  "replicationcontrollers",
  "secrets",
  "persistentvolumeclaims",
  "configmaps",
  "services.nodeports",
  "services.loadbalancers",
];
const COMPUTE = ["cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"];
const STORAGE = ["ephemeral-storage", "requests.ephemeral-storage", "limits.ephemeral-storage"];
const STANDARD = new Set([...OBJECTS, ...COMPUTE, ...STORAGE, "requests.storage"]);

const isQuotaHugePages = (name: string): boolean => /^(requests\.)?hugepages-/.test(name);

const ofPods = new Set(["pods", ...COMPUTE]);
/** Resources that a scope can narrow. */
const SCOPES: Readonly<Record<string, ReadonlySet<string>>> = {
  Terminating: ofPods,
  NotTerminating: ofPods,
  NotBestEffort: ofPods,
  PriorityClass: ofPods,
  CrossNamespacePodAffinity: ofPods,
  BestEffort: new Set(["pods"]),
  VolumeAttributesClass: new Set(["persistentvolumeclaims", "requests.storage"]),
};
const VALUELESS = new Set(Object.keys(SCOPES).filter((scope) => !scope.endsWith("Class")));

function hardCauses(list: Readonly<Record<string, string>> | undefined, path: string): Cause[] {
  return Object.entries(list ?? {}).flatMap(([name, quantity]) => {
    const at = `${path}[${name}]`;
    const known = name.includes("/") || STANDARD.has(name) || isQuotaHugePages(name);
    const causes = checkResourceName(name, at);
    if (!known) causes.push(invalid(at, name, "must be a standard resource for quota"));
    return [...causes, ...checkQuantity(quantity, at, name)];
  });
}

const clash = (scopes: readonly string[], shown: unknown, at: string): Cause[] =>
  ["BestEffort", "Terminating"]
    .filter((scope) => scopes.includes(scope) && scopes.includes(`Not${scope}`))
    .map(() => invalid(at, shown, "conflicting scopes"));

/** A resource that a scope does not narrow; `shown` is the list of scopes. */
function narrowCauses(spec: ResourceQuotaSpec, scope: string, shown: unknown, at: string): Cause[] {
  const resources = SCOPES[scope];
  const wrong = Object.keys(spec.hard ?? {}).filter(
    (name) => (STANDARD.has(name) || isQuotaHugePages(name)) && resources?.has(name) === false,
  );
  return wrong.map(() => invalid(at, shown, "unsupported scope applied to resource"));
}

function scopeCauses(spec: ResourceQuotaSpec): Cause[] {
  const at = "spec.scopes";
  const { scopes = [] } = spec;
  const causes = scopes.flatMap((scope) => [
    ...(SCOPES[scope] ? [] : [invalid(at, scopes, "unsupported scope")]),
    ...narrowCauses(spec, scope, scopes, at),
  ]);
  return [...causes, ...clash(scopes, scopes, at)];
}

const MATCHES = "spec.scopeSelector.matchExpressions";

function requirementCauses(
  spec: ResourceQuotaSpec,
  requirement: ScopedResourceSelectorRequirement,
): Cause[] {
  const { scopeName = "", operator = "", values = [] } = requirement;
  const causes: Cause[] = [];
  if (!SCOPES[scopeName]) {
    causes.push(invalid(`${MATCHES}.scopeName`, scopeName, "unsupported scope"));
  }
  const shown = {
    MatchExpressions: (spec.scopeSelector?.matchExpressions ?? []).map((match) =>
      shownAs(match, ["ScopeName", "Operator", "Values"]),
    ),
  };
  causes.push(...narrowCauses(spec, scopeName, shown, MATCHES));
  if (VALUELESS.has(scopeName) && operator !== "Exists") {
    const detail =
      "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, " +
      "ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, " +
      "ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
    causes.push(invalid(`${MATCHES}.operator`, operator, detail));
  }
  if (operator === "In" || operator === "NotIn") {
    const detail =
      "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
    if (values.length === 0) causes.push(required(`${MATCHES}.values`, detail));
  } else if (operator === "Exists" || operator === "DoesNotExist") {
    const detail =
      "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
    if (values.length > 0) causes.push(invalid(`${MATCHES}.values`, values, detail));
  } else {
    causes.push(invalid(`${MATCHES}.operator`, operator, "not a valid selector operator"));
  }
  return causes;
}

export function validateQuota(
  quota: ResourceQuota,
  old: ResourceQuota | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") {
    const { hard, used } = quota.status ?? {};
    return [...hardCauses(hard, "status.hard"), ...hardCauses(used, "status.used")];
  }
  const spec = quota.spec ?? {};
  const requirements = spec.scopeSelector?.matchExpressions ?? [];
  const causes = [
    ...hardCauses(spec.hard, "spec.hard"),
    ...scopeCauses(spec),
    ...requirements.flatMap((requirement) => requirementCauses(spec, requirement)),
    ...clash(
      requirements.map(({ scopeName }) => scopeName),
      spec.scopes ?? null,
      MATCHES,
    ),
  ];
  const sorted = (scopes: readonly string[] | undefined) => [...(scopes ?? [])].sort();
  if (old && !sameValue(sorted(spec.scopes), sorted(old.spec?.scopes))) {
    causes.push(invalid("spec.scopes", spec.scopes ?? null, "field is immutable"));
  }
  return causes;
}
