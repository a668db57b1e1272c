/** Claims of devices and their classes (resource validation; "Dynamic Resource Allocation"). */
import { sameTyped } from "#resources/equal.ts";
import { type Cause, duplicate, forbidden, invalid, required, tooMany } from "#resources/field.ts";
import { checkAnnotations, checkLabels } from "#resources/names.ts";
import type {
  DeviceClaim,
  DeviceClass,
  DeviceConstraint,
  DeviceRequest,
  DeviceSelector,
  DeviceToleration,
  ExactDeviceRequest,
  ObjectMeta,
  OpaqueDeviceConfiguration,
  ResourceClaimTemplate,
  ResourceV1ResourceClaim,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  positive,
  requiredByRule,
  supported,
  unique,
} from "#resources/validate/basic.ts";
import { checkFullyQualified } from "#resources/validate/devicename.ts";
import { checkDriverName } from "#resources/validate/source.ts";
import {
  labelErrors,
  labelValueErrors,
  qualifiedNameErrors,
  subdomainErrors,
} from "#resources/validate/text.ts";

const LIST_MAX = 32;
const FIRST_AVAILABLE_MAX = 8;
const EFFECTS = ["NoExecute", "NoSchedule"];

const fixedSpec = (definition: string, next: unknown, old: unknown): Cause[] =>
  sameTyped(`io.k8s.api.resource.v1.${definition}`, next, old)
    ? []
    : [invalid("spec", next ?? null, "field is immutable")];

const upTo = (list: readonly unknown[] | undefined, max: number, path: string): Cause[] =>
  (list ?? []).length > max ? [tooMany(path, list?.length ?? 0, max)] : [];

/** Expressions are compiled by the API. */
const selectorCauses = (
  selectors: readonly DeviceSelector[] | undefined,
  path: string,
): Cause[] => [
  ...each(selectors, path, ({ cel }, at) => (cel ? [] : [required(`${at}.cel`)])),
  ...upTo(selectors, LIST_MAX, path),
];

function tolerationCauses(toleration: DeviceToleration, path: string): Cause[] {
  const { key, operator, value = "", effect } = toleration;
  const causes = key ? byRule(qualifiedNameErrors, key, `${path}.key`) : [];
  if (operator === "Exists" && value !== "") {
    causes.push(invalid(`${path}.value`, value, "must be empty for operator `Exists`"));
  }
  if (operator === "Equal") causes.push(...byRule(labelValueErrors, value, `${path}.value`));
  if (operator === "") causes.push(required(`${path}.operator`));
  else causes.push(...supported(operator, ["Equal", "Exists"], `${path}.operator`));
  return [...causes, ...supported(effect || undefined, EFFECTS, `${path}.effect`)];
}

type Exact = Pick<
  ExactDeviceRequest,
  "allocationMode" | "count" | "deviceClassName" | "selectors" | "tolerations"
>;

function modeCauses({ allocationMode: mode, count }: Exact, path: string): Cause[] {
  const at = `${path}.count`;
  if (mode === "ExactCount") return positive(count, at);
  if (mode !== "All") return supported(mode, ["All", "ExactCount"], `${path}.allocationMode`);
  return count ? [invalid(at, count, "must not be specified when allocationMode is 'All'")] : [];
}

const exactCauses = (request: Exact, path: string): Cause[] => [
  ...requiredByRule(subdomainErrors, request.deviceClassName, `${path}.deviceClassName`),
  ...selectorCauses(request.selectors, `${path}.selectors`),
  ...modeCauses(request, path),
  ...each(request.tolerations, `${path}.tolerations`, tolerationCauses),
];

const uniqueNames = (list: ReadonlyArray<{ name: string }> | undefined, path: string): Cause[] =>
  unique(
    list,
    ({ name }) => name ?? "",
    (index) => `${path}[${index}].name`,
  );

function requestCauses(request: DeviceRequest, path: string): Cause[] {
  const { exactly, firstAvailable = [] } = request;
  const at = `${path}.firstAvailable`;
  const causes = [
    ...byRule(labelErrors, request.name, `${path}.name`),
    ...each(firstAvailable, at, (subrequest, index) => [
      ...byRule(labelErrors, subrequest.name, `${index}.name`),
      ...exactCauses(subrequest, index),
    ]),
    ...upTo(firstAvailable, FIRST_AVAILABLE_MAX, at),
    ...uniqueNames(firstAvailable, at),
    ...(exactly ? exactCauses(exactly, `${path}.exactly`) : []),
  ];
  const either = "exactly one of `exactly` or `firstAvailable` is required";
  if (!exactly && firstAvailable.length === 0) return [...causes, required(path, either)];
  if (!exactly || firstAvailable.length === 0) return causes;
  return [...causes, invalid(path, null, `${either}, but multiple fields are set`)];
}

/** Names of requests, and of the alternatives of each as `request/alternative`. */
const requestNames = (claim: DeviceClaim | undefined): ReadonlySet<string> =>
  new Set(
    (claim?.requests ?? []).flatMap(({ name, firstAvailable = [] }) => [
      name,
      ...firstAvailable.map((subrequest) => `${name}/${subrequest.name}`),
    ]),
  );

function referenceCauses(
  references: readonly string[] | undefined,
  names: ReadonlySet<string>,
  path: string,
): Cause[] {
  const detail =
    "must be the name of a request in the claim or the name of a request and a subrequest " +
    "separated by '/'";
  const seen = new Set<string>();
  const causes = each(references, path, (name, at) => {
    const parts = name.split("/");
    const found = parts.length > 2 ? [] : parts.flatMap((part) => byRule(labelErrors, part, at));
    if (!names.has(name)) found.push(invalid(at, name, detail));
    return found;
  });
  for (const [index, name] of (references ?? []).entries()) {
    if (seen.has(name)) causes.push(duplicate(`${path}[${index}]`, name));
    seen.add(name);
  }
  return [...causes, ...upTo(references, LIST_MAX, path)];
}

function constraintCauses(constraint: DeviceConstraint, path: string): Cause[] {
  const { matchAttribute, distinctAttribute } = constraint;
  if (matchAttribute !== undefined) {
    return checkFullyQualified(matchAttribute, `${path}.matchAttribute`);
  }
  if (distinctAttribute !== undefined) {
    return checkFullyQualified(distinctAttribute, `${path}.distinctAttribute`);
  }
  return [required(`${path}.matchAttribute`)];
}

function configCauses(config: { opaque?: OpaqueDeviceConfiguration }, path: string): Cause[] {
  const at = `${path}.opaque`;
  if (!config.opaque) return [required(at)];
  const { driver, parameters } = config.opaque;
  const causes = checkDriverName(driver, `${at}.driver`);
  if (parameters === undefined || parameters === null) {
    return [...causes, required(`${at}.parameters`)];
  }
  if (typeof parameters === "object" && !Array.isArray(parameters)) return causes;
  const detail = "must be a valid JSON object";
  return [...causes, invalid(`${at}.parameters`, "<value omitted>", detail)];
}

function claimCauses(claim: DeviceClaim | undefined, path: string): Cause[] {
  const { requests, constraints, config } = claim ?? {};
  const names = requestNames(claim);
  return [
    ...each(requests, `${path}.requests`, requestCauses),
    ...upTo(requests, LIST_MAX, `${path}.requests`),
    ...uniqueNames(requests, `${path}.requests`),
    ...each(constraints, `${path}.constraints`, (constraint, at) => [
      ...referenceCauses(constraint.requests, names, `${at}.requests`),
      ...constraintCauses(constraint, at),
    ]),
    ...upTo(constraints, LIST_MAX, `${path}.constraints`),
    ...each(config, `${path}.config`, (one, at) => [
      ...referenceCauses(one.requests, names, `${at}.requests`),
      ...configCauses(one, at),
    ]),
    ...upTo(config, LIST_MAX, `${path}.config`),
  ];
}

export const validateDeviceClass = ({ spec }: DeviceClass): Cause[] => [
  ...selectorCauses(spec?.selectors, "spec.selectors"),
  ...each(spec?.config, "spec.config", configCauses),
  ...upTo(spec?.config, LIST_MAX, "spec.config"),
];

export function validateResourceClaim(
  claim: ResourceV1ResourceClaim,
  old: ResourceV1ResourceClaim | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  return [
    ...(old ? fixedSpec("ResourceClaimSpec", claim.spec, old.spec) : []),
    ...claimCauses(claim.spec?.devices, "spec.devices"),
  ];
}

/** Of the metadata of a template only labels and annotations reach what is made by it. */
function templateMeta(meta: ObjectMeta | undefined, path: string): Cause[] {
  const { labels, annotations, ...others } = meta ?? {};
  const set = Object.entries(others).filter(([, value]) => value !== undefined && value !== "");
  return [
    ...checkAnnotations(annotations, `${path}.annotations`),
    ...checkLabels(labels, `${path}.labels`),
    ...set.map(([field]) => forbidden(`${path}.${field}`, "cannot be set")),
  ];
}

export const validateClaimTemplate = (
  template: ResourceClaimTemplate,
  old: ResourceClaimTemplate | undefined,
): Cause[] => [
  ...(old ? fixedSpec("ResourceClaimTemplateSpec", template.spec, old.spec) : []),
  ...templateMeta(template.spec?.metadata, "spec.metadata"),
  ...claimCauses(template.spec?.spec?.devices, "spec.spec.devices"),
];
