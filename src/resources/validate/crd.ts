/** CustomResourceDefinitions (apiextensions validation). Expressions are compiled by the API. */
import { isDeepStrictEqual } from "node:util";
import { type Cause, duplicate, forbidden, invalid, required, tooMany } from "#resources/field.ts";
import type {
  CustomResourceColumnDefinition,
  CustomResourceDefinition,
  CustomResourceDefinitionNames,
  CustomResourceDefinitionSpec,
  CustomResourceDefinitionVersion,
  CustomResourceSubresources,
  JSONSchemaProps,
  SelectableField,
} from "#resources/types.gen.ts";
import {
  byRule,
  each,
  immutable,
  present,
  requiredWord,
  supported,
} from "#resources/validate/basic.ts";
import { fieldAt } from "#resources/validate/crdopenapi.ts";
import { checkCustomSchema } from "#resources/validate/crdschema.ts";
import { label1035Errors, subdomainErrors } from "#resources/validate/text.ts";
import { checkWebhookTarget } from "#resources/validate/webhook.ts";

const COLUMN_TYPES = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS = [
  "byte",
  "date",
  "date-time",
  "double",
  "float",
  "int32",
  "int64",
  "password",
];
const SELECTABLE_MAX = 8;
const WARNING_MAX = 256;
const APPROVED = "api-approved.kubernetes.io";

/** All errors of a rule in one cause, as upstream joins them here. */
const joined = (errors: readonly string[], value: string, path: string, intro = ""): Cause[] =>
  errors.length === 0 ? [] : [invalid(path, value, intro + errors.join(","))];

const MIXED = "may have mixed case, but should otherwise match: ";

function nameCauses(names: CustomResourceDefinitionNames | undefined, at: string): Cause[] {
  const { plural, singular, kind, listKind, shortNames, categories } = names ?? {};
  const named = Object.entries({ plural, singular, kind, listKind }).flatMap(([field, value]) => {
    if (!value) return [required(`${at}.${field}`)];
    const mixed = field === "kind" || field === "listKind";
    const errors = label1035Errors(mixed ? value.toLowerCase() : value);
    return joined(errors, value, `${at}.${field}`, mixed ? MIXED : "");
  });
  const lists = Object.entries({ shortNames, categories }).flatMap(([field, list]) =>
    each(list, `${at}.${field}`, (name, path) => joined(label1035Errors(name), name, path)),
  );
  const causes = [...named, ...lists];
  if (kind && kind === listKind) {
    causes.push(invalid(`${at}.listKind`, listKind, "kind and listKind may not be the same"));
  }
  return causes;
}

/** Those that were accepted; none are before that. */
function acceptedCauses(names: CustomResourceDefinitionNames | undefined): Cause[] {
  return nameCauses(names, "status.acceptedNames").filter(
    ({ reason }) => reason !== "FieldValueRequired",
  );
}

/** `.spec.replicas`, under one of the named fields. */
function pathCauses(value: string | undefined, roots: readonly string[], path: string): Cause[] {
  if (!value) return [required(path)];
  if (!value.startsWith(".")) {
    return [invalid(path, value, "must be a simple json path starting with .")];
  }
  if (roots.some((root) => value.startsWith(`${root}.`))) return [];
  const where = roots.length > 1 ? `either ${roots.join(" or ")}` : roots[0];
  return [invalid(path, value, `should be a json path under ${where}`)];
}

function scaleCauses(subresources: CustomResourceSubresources | undefined, path: string): Cause[] {
  const { scale } = subresources ?? {};
  if (!scale) return [];
  const selector = scale.labelSelectorPath;
  return [
    ...pathCauses(scale.specReplicasPath, [".spec"], `${path}.scale.specReplicasPath`),
    ...pathCauses(scale.statusReplicasPath, [".status"], `${path}.scale.statusReplicasPath`),
    ...(selector
      ? pathCauses(selector, [".spec", ".status"], `${path}.scale.labelSelectorPath`)
      : []),
  ];
}

function columnCauses(column: CustomResourceColumnDefinition, path: string): Cause[] {
  const { name, type, format, jsonPath } = column;
  const causes = present(name, `${path}.name`);
  const types = `must be one of ${COLUMN_TYPES.join(",")}`;
  if (!type) causes.push(required(`${path}.type`, types));
  else if (!COLUMN_TYPES.includes(type)) causes.push(invalid(`${path}.type`, type, types));
  if (format && !COLUMN_FORMATS.includes(format)) {
    const formats = `must be one of ${COLUMN_FORMATS.join(",")}`;
    causes.push(invalid(`${path}.format`, format, formats));
  }
  if (!jsonPath) return [...causes, required(`${path}.JSONPath`)];
  if (jsonPath.startsWith(".")) return causes;
  const detail = "must be a simple json path starting with .";
  return [...causes, invalid(`${path}.JSONPath`, jsonPath, detail)];
}

function warningCauses(version: CustomResourceDefinitionVersion, path: string): Cause[] {
  const { deprecated, deprecationWarning: warning } = version;
  if (warning === undefined) return [];
  const at = `${path}.deprecationWarning`;
  if (deprecated !== true) return [invalid(at, warning, "can only be set for deprecated versions")];
  if (warning === "") return [invalid(at, warning, "must not be an empty string")];
  if (warning.length <= WARNING_MAX) return [];
  return [invalid(at, warning, `must be <= ${WARNING_MAX} characters long`)];
}

const SELECTABLE_TYPES = new Set(["string", "boolean", "integer"]);

function selectableCauses(
  fields: readonly SelectableField[],
  schema: JSONSchemaProps | undefined,
  path: string,
): Cause[] {
  if (fields.length === 0) return [];
  const unset = "may only be set when validations.schema is included";
  if (!schema) return [invalid(path, "", unset)];
  const seen = new Set<string>();
  const causes = each(fields, path, ({ jsonPath }, at) => {
    const index = `${at}.jsonPath`;
    if (!jsonPath) return [required(index)];
    const found = jsonPath.includes("[")
      ? "array notation is not allowed"
      : fieldAt(schema, jsonPath);
    if (typeof found === "string") {
      return [invalid(index, jsonPath, `is an invalid path: ${found}`)];
    }
    const wrong: Cause[] = [];
    if (jsonPath.startsWith(".metadata")) {
      wrong.push(invalid(index, jsonPath, "must not point to fields in metadata"));
    }
    if (!SELECTABLE_TYPES.has(found.type ?? "")) {
      const detail =
        "must point to a field of type string, boolean or integer. Enum string fields and " +
        "strings with formats are allowed.";
      wrong.push(invalid(index, jsonPath, detail));
    }
    if (seen.has(jsonPath)) wrong.push(duplicate(index, jsonPath));
    seen.add(jsonPath);
    return wrong;
  });
  return seen.size > SELECTABLE_MAX
    ? [...causes, tooMany(path, seen.size, SELECTABLE_MAX)]
    : causes;
}

type Part = "schema" | "subresources" | "additionalPrinterColumns" | "selectableFields";

/**
 * A part that all versions have alike was one top-level field in an older form, and errors still
 * name that. Returns the versions to look at, with the path of the part in each.
 */
function partsOf(
  spec: CustomResourceDefinitionSpec,
  part: Part,
  top: string,
): Array<[CustomResourceDefinitionVersion, string]> {
  const [first, ...others] = spec.versions ?? [];
  if (!first) return [];
  if (others.every((version) => isDeepStrictEqual(version[part], first[part]))) {
    return [[first, `spec.${top}`]];
  }
  return [first, ...others].map((version, index) => [version, `spec.versions[${index}].${part}`]);
}

function partCauses(spec: CustomResourceDefinitionSpec): Cause[] {
  const statuses = (spec.versions ?? []).some((version) => version.subresources?.status);
  return [
    ...partsOf(spec, "schema", "validation").flatMap(([version, path]) => {
      const schema = version.schema?.openAPIV3Schema;
      if (!schema) return [];
      const any = path === "spec.validation" ? statuses : Boolean(version.subresources?.status);
      return checkCustomSchema(schema, any, `${path}.openAPIV3Schema`);
    }),
    ...partsOf(spec, "subresources", "subresources").flatMap(([version, path]) =>
      scaleCauses(version.subresources, path),
    ),
    ...partsOf(spec, "additionalPrinterColumns", "additionalPrinterColumns").flatMap(
      ([version, path]) => each(version.additionalPrinterColumns, path, columnCauses),
    ),
    ...partsOf(spec, "selectableFields", "selectableFields").flatMap(([version, path]) =>
      selectableCauses(version.selectableFields ?? [], version.schema?.openAPIV3Schema, path),
    ),
  ];
}

function versionCauses(spec: CustomResourceDefinitionSpec): Cause[] {
  const [first] = spec.versions ?? [];
  const causes = each(spec.versions, "spec.versions", (version, at) => [
    ...joined(label1035Errors(version.name ?? ""), version.name ?? "", `${at}.name`),
    ...(version.schema?.openAPIV3Schema ? [] : [required(`${at}.schema.openAPIV3Schema`)]),
    ...warningCauses(version, at),
  ]);
  // Upstream keeps the first version in a field of its own too.
  const name = first?.name ?? "";
  return name === "" ? causes : [...causes, ...joined(label1035Errors(name), name, "spec.version")];
}

function versionsCauses(spec: CustomResourceDefinitionSpec): Cause[] {
  const versions = spec.versions ?? [];
  const causes = [...versionCauses(spec), ...partCauses(spec)];
  if (new Set(versions.map(({ name }) => name)).size < versions.length) {
    causes.push(invalid("spec.versions", versions, "must contain unique version names"));
  }
  if (versions.filter(({ storage }) => storage).length === 1) return causes;
  const detail = "must have exactly one version marked as storage version";
  return [...causes, invalid("spec.versions", spec.versions ?? null, detail)];
}

/** Whether a schema has a default anywhere in it. */
function holdsDefault(schema: JSONSchemaProps): boolean {
  if (schema.default !== undefined) return true;
  const { properties = {}, items, additionalProperties, allOf, anyOf, oneOf, not } = schema;
  const parts = [...Object.values(properties), items, additionalProperties, not];
  return [...parts, ...(allOf ?? []), ...(anyOf ?? []), ...(oneOf ?? [])].some(
    (part) => typeof part === "object" && part !== null && holdsDefault(part as JSONSchemaProps),
  );
}

const hasDefaults = (spec: CustomResourceDefinitionSpec): boolean =>
  (spec.versions ?? []).some(({ schema }) => holdsDefault(schema?.openAPIV3Schema ?? {}));

function conversionCauses(spec: CustomResourceDefinitionSpec): Cause[] {
  const { conversion } = spec;
  if (!conversion) return [];
  const at = "spec.conversion";
  const { strategy, webhook } = conversion;
  const causes = requiredWord(strategy, ["None", "Webhook"], `${at}.strategy`);
  if (spec.preserveUnknownFields === true && strategy !== "None") {
    const detail = "must be None if spec.preserveUnknownFields is true";
    causes.push(invalid(`${at}.strategy`, strategy ?? "", detail));
  }
  const target = `${at}.webhookClientConfig`;
  if (strategy !== "Webhook") {
    const detail = "should not be set when strategy is not set to Webhook";
    if (webhook?.clientConfig) causes.push(forbidden(target, detail));
    if (!webhook?.conversionReviewVersions?.length) return causes;
    return [...causes, forbidden(`${at}.conversionReviewVersions`, detail)];
  }
  if (webhook?.clientConfig) causes.push(...checkWebhookTarget(webhook.clientConfig, target));
  else causes.push(required(target, "required when strategy is set to Webhook"));
  const versions = webhook?.conversionReviewVersions ?? [];
  const path = `${at}.conversionReviewVersions`;
  if (versions.length === 0) return [...causes, required(path)];
  const seen = new Set<string>();
  const names = each(versions, path, (version, index) => {
    if (seen.has(version)) return [invalid(index, version, "duplicate version")];
    seen.add(version);
    return byRule(label1035Errors, version, index);
  });
  causes.push(...names);
  if (versions.some((version) => version === "v1" || version === "v1beta1")) return causes;
  return [...causes, invalid(path, versions, "must include at least one of v1, v1beta1")];
}

function groupCauses(group: string): Cause[] {
  if (group === "") return [required("spec.group")];
  const causes = joined(subdomainErrors(group), group, "spec.group");
  if (causes.length > 0 || group.includes(".")) return causes;
  return [invalid("spec.group", group, "should be a domain with at least one dot")];
}

/** Groups of Kubernetes itself need the approval of its reviewers, by an annotation (KEP-1111). */
function approvalCauses(definition: CustomResourceDefinition): Cause[] {
  const group = definition.spec?.group ?? "";
  if (!/(^|\.)(k8s\.io|kubernetes\.io)$/.test(group)) return [];
  const value = definition.metadata?.annotations?.[APPROVED];
  const at = `metadata.annotations[${APPROVED}]`;
  const url = "see https://github.com/kubernetes/enhancements/pull/1111";
  if (!value) {
    const detail = `protected groups must have approval annotation "${APPROVED}", ${url}`;
    return [required(at, detail)];
  }
  if (value.startsWith("unapproved") || URL.canParse(value)) return [];
  const detail =
    `protected groups must have approval annotation "${APPROVED}" with either a URL or a ` +
    `reason starting with "unapproved", ${url}`;
  return [invalid(at, value, detail)];
}

function storedCauses(definition: CustomResourceDefinition): Cause[] {
  const stored = definition.status?.storedVersions ?? [];
  const at = "status.storedVersions";
  if (stored.length === 0) return [invalid(at, null, "must have at least one stored version")];
  const own = definition.spec?.versions ?? [];
  const versions = new Set(own.map(({ name }) => name));
  const unstored = own.filter(({ name, storage }) => storage && !stored.includes(name));
  const causes = unstored.map(({ name }) =>
    invalid(at, stored, `must have the storage version ${name}`),
  );
  const gone = each(stored, at, (version, index) => {
    if (versions.has(version)) return [];
    const detail =
      `missing from spec.versions; ${version} was previously a storage version, and must ` +
      "remain in spec.versions until a storage migration ensures no data remains persisted in " +
      `${version} and removes ${version} from status.storedVersions`;
    return [invalid(index, version, detail)];
  });
  return [...causes, ...gone];
}

function updateCauses(spec: CustomResourceDefinitionSpec, old: CustomResourceDefinition): Cause[] {
  const before = old.spec;
  const established = old.status?.conditions?.some(
    ({ type, status }) => type === "Established" && status === "True",
  );
  return [
    ...(established ? immutable(spec.scope, before?.scope, "spec.scope") : []),
    ...(established ? immutable(spec.names?.kind, before?.names?.kind, "spec.names.kind") : []),
    ...immutable(spec.group ?? "", before?.group ?? "", "spec.group"),
    ...immutable(spec.names?.plural ?? "", before?.names?.plural ?? "", "spec.names.plural"),
  ];
}

export function validateDefinition(
  definition: CustomResourceDefinition,
  old: CustomResourceDefinition | undefined,
  subresource?: string,
): Cause[] {
  const { spec = {} as CustomResourceDefinitionSpec, metadata, status } = definition;
  if (subresource === "status") {
    return [...storedCauses(definition), ...acceptedCauses(status?.acceptedNames)];
  }
  const name = metadata?.name ?? "";
  const causes: Cause[] = [];
  if (!old && name !== `${spec.names?.plural ?? ""}.${spec.group ?? ""}`) {
    causes.push(invalid("metadata.name", name, 'must be spec.names.plural+"."+spec.group'));
  }
  if (spec.preserveUnknownFields === true && old?.spec?.preserveUnknownFields !== true) {
    const detail =
      "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in " +
      "spec.versions[*].schema instead";
    causes.push(invalid("spec.preserveUnknownFields", true, detail));
  }
  if (spec.preserveUnknownFields === true && hasDefaults(spec)) {
    const detail = "must be false in order to use defaults in the schema";
    causes.push(invalid("spec.preserveUnknownFields", true, detail));
  }
  return [
    ...causes,
    ...groupCauses(spec.group ?? ""),
    ...(spec.scope
      ? supported(spec.scope, ["Cluster", "Namespaced"], "spec.scope")
      : [required("spec.scope")]),
    ...versionsCauses(spec),
    ...nameCauses(spec.names, "spec.names"),
    ...conversionCauses(spec),
    ...storedCauses(definition),
    ...(old ? updateCauses(spec, old) : approvalCauses(definition)),
  ];
}
