/**
 * Whether a schema is structural: types and fields are said outside of the junctors (`anyOf` and
 * its like), which only judge values (apiextensions apiserver/schema).
 */
import { messageOf } from "#base/errors.ts";
import { type Cause, forbidden, invalid, required } from "#resources/field.ts";
import { compilePattern, quickPattern } from "#resources/regexp.ts";
import type { JSONSchemaProps } from "#resources/types.gen.ts";
import { each } from "#resources/validate/basic.ts";
import { isSet, schemaOf } from "#resources/validate/crdschema.ts";

type Level = "root" | "items" | "field";

const MISSING: Readonly<Record<Level, string>> = {
  root: "must not be empty at the root",
  items: "must not be empty for specified array items",
  field: "must not be empty for specified object fields",
};

const isIntOrString = (schema: JSONSchemaProps): boolean =>
  schema["x-kubernetes-int-or-string"] === true;
const isEmbedded = (schema: JSONSchemaProps): boolean =>
  schema["x-kubernetes-embedded-resource"] === true;
const keepsUnknown = (schema: JSONSchemaProps): boolean =>
  schema["x-kubernetes-preserve-unknown-fields"] === true;

function typeCauses(schema: JSONSchemaProps, level: Level, path: string): Cause[] {
  const at = `${path}.type`;
  const { type } = schema;
  if (isEmbedded(schema) && type !== "object") {
    const detail = "must be object if x-kubernetes-embedded-resource is true";
    return [type ? invalid(at, type, detail) : required(at, detail)];
  }
  if (!type && !isIntOrString(schema) && !keepsUnknown(schema)) {
    return [required(at, MISSING[level])];
  }
  return level === "root" && type && type !== "object"
    ? [invalid(at, type, "must be object at the root")]
    : [];
}

function extensionCauses(schema: JSONSchemaProps, level: Level, path: string): Cause[] {
  const causes: Cause[] = [];
  const clash = "must be false if x-kubernetes-int-or-string is true";
  if (isIntOrString(schema) && keepsUnknown(schema)) {
    causes.push(invalid(`${path}.x-kubernetes-preserve-unknown-fields`, true, clash));
  }
  if (isIntOrString(schema) && isEmbedded(schema)) {
    causes.push(invalid(`${path}.x-kubernetes-embedded-resource`, true, clash));
  }
  const at = `${path}.additionalProperties`;
  if (schema.additionalProperties !== undefined) {
    if (level === "root") causes.push(forbidden(at, "must not be used at the root"));
    if (isEmbedded(schema)) {
      const detail = "must not be used if x-kubernetes-embedded-resource is set";
      causes.push(forbidden(at, detail));
    }
  }
  if (isEmbedded(schema) && !keepsUnknown(schema) && !isSet(schema.properties)) {
    const detail =
      "must not be empty if x-kubernetes-embedded-resource is true without " +
      "x-kubernetes-preserve-unknown-fields";
    causes.push(required(`${path}.properties`, detail));
  }
  return causes;
}

/** Of metadata a schema may only rule the names; the rest is Kubernetes'. */
function metadataCauses(schema: JSONSchemaProps, level: Level, path: string): Cause[] {
  const causes: Cause[] = [];
  const meta = level === "root" || isEmbedded(schema);
  for (const field of ["kind", "apiVersion"] as const) {
    const property = schema.properties?.[field];
    if (!meta || !property || property.type === "string") continue;
    const at = `${path}.properties[${field}].type`;
    causes.push(invalid(at, property.type ?? "", "must be string"));
  }
  const metadata = schema.properties?.["metadata"];
  if (!metadata) return causes;
  const at = `${path}.properties[metadata]`;
  if (meta && metadata.type !== "object") {
    causes.push(invalid(`${at}.type`, metadata.type ?? "", "must be object"));
  }
  if (level !== "root") return causes;
  const names = Object.keys(metadata.properties ?? {});
  const { type: _t, properties: _p, default: _d, ...rest } = metadata;
  const others = Object.values(rest).some(isSet);
  if (!others && names.every((name) => name === "name" || name === "generateName")) return causes;
  const detail =
    "must not specify anything other than name and generateName, but metadata is implicitly " +
    "specified";
  return [...causes, forbidden(at, detail)];
}

/** What only the structure may say, and what a junctor is told about each. */
const STRUCTURE = {
  type: "empty",
  title: "empty",
  description: "empty",
  default: "undefined",
  nullable: "false",
  "x-kubernetes-preserve-unknown-fields": "false",
  "x-kubernetes-embedded-resource": "false",
  "x-kubernetes-int-or-string": "false",
  "x-kubernetes-list-map-keys": "empty",
  "x-kubernetes-list-type": "undefined",
  "x-kubernetes-map-type": "undefined",
  "x-kubernetes-validations": "empty",
} as const;

const POINTERS = new Set<string>(["x-kubernetes-list-type", "x-kubernetes-map-type", "default"]);

function nestedCauses(schema: JSONSchemaProps, path: string, skipAnyOf = false): Cause[] {
  const fields = Object.keys(STRUCTURE) as Array<keyof typeof STRUCTURE>;
  const causes = fields
    .filter((field) => (POINTERS.has(field) ? schema[field] !== undefined : isSet(schema[field])))
    .map((field) => forbidden(`${path}.${field}`, `must be ${STRUCTURE[field]} to be structural`));
  if (schema.additionalProperties) {
    causes.push(forbidden(`${path}.additionalProperties`, "must be undefined to be structural"));
  }
  if (schema.properties?.["metadata"]) {
    const detail = "must not be specified in a nested context";
    causes.push(forbidden(`${path}.properties[metadata]`, detail));
  }
  const items = schemaOf(schema.items);
  if (items) causes.push(...nestedCauses(items, `${path}.items`));
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    causes.push(...nestedCauses(property, `${path}.properties[${name}]`));
  }
  return [...causes, ...valueCauses(schema, path, skipAnyOf, false)];
}

/** `anyOf` of integer and string is how an int-or-string says its types. */
function saysIntOrString({ anyOf }: JSONSchemaProps): boolean {
  const types = anyOf?.map((schema) => (Object.keys(schema).length === 1 ? schema.type : ""));
  return types?.join() === "integer,string";
}

function patternCauses(pattern: string | undefined, path: string): Cause[] {
  if (!pattern || quickPattern(pattern) !== undefined) return [];
  try {
    compilePattern(pattern);
    return [];
  } catch (error) {
    const detail = `must be a valid regular expression, but isn't: ${messageOf(error)}`;
    return [invalid(`${path}.pattern`, pattern, detail)];
  }
}

function valueCauses(
  schema: JSONSchemaProps,
  path: string,
  skipAnyOf: boolean,
  skipFirstAllOf: boolean,
): Cause[] {
  return [
    ...(skipAnyOf ? [] : each(schema.anyOf, `${path}.anyOf`, (part, at) => nestedCauses(part, at))),
    ...each(schema.allOf, `${path}.allOf`, (part, at, index) =>
      nestedCauses(part, at, skipFirstAllOf && index === 0),
    ),
    ...each(schema.oneOf, `${path}.oneOf`, (part, at) => nestedCauses(part, at)),
    ...(schema.not ? nestedCauses(schema.not, `${path}.not`) : []),
    ...patternCauses(schema.pattern, path),
  ];
}

type Fields = Pick<JSONSchemaProps, "properties"> & { items?: unknown };

/** What a junctor speaks of must be in the structure too. */
function completeCauses(
  schema: JSONSchemaProps,
  nested: Fields,
  path: string,
  at: string,
): Cause[] {
  const causes: Cause[] = [];
  const items = schemaOf(nested.items);
  if (items) {
    const own = schemaOf(schema.items);
    if (!own) causes.push(missing(`${path}.items`, `${at}.items`));
    else causes.push(...completeAll(own, items, `${path}.items`, `${at}.items`));
  }
  for (const [name, property] of Object.entries(nested.properties ?? {})) {
    const own = schema.properties?.[name];
    const here = `${path}.properties[${name}]`;
    const there = `${at}.properties[${name}]`;
    if (!own) causes.push(missing(here, there));
    else causes.push(...completeAll(own, property, here, there));
  }
  return causes;
}

const missing = (path: string, at: string): Cause =>
  required(path, `because it is defined in ${at}`);

/** A schema beside its junctors, each compared to the structure at `path`. */
function completeAll(
  schema: JSONSchemaProps,
  nested: JSONSchemaProps,
  path: string,
  at: string,
): Cause[] {
  return [
    ...completeCauses(schema, nested, path, at),
    ...junctorsComplete(schema, nested, path, at),
  ];
}

function junctorsComplete(
  schema: JSONSchemaProps,
  holder: JSONSchemaProps,
  path: string,
  at: string,
): Cause[] {
  const lists = (["anyOf", "allOf", "oneOf"] as const).flatMap((list) =>
    each(holder[list], `${at}.${list}`, (part, there) => completeAll(schema, part, path, there)),
  );
  return [...lists, ...(holder.not ? completeAll(schema, holder.not, path, `${at}.not`) : [])];
}

export function checkStructure(schema: JSONSchemaProps, level: Level, path: string): Cause[] {
  const items = schemaOf(schema.items);
  const additional = schemaOf(schema.additionalProperties);
  const [first] = schema.allOf ?? [];
  return [
    ...(schema.type === "array" && schema.items === undefined
      ? [required(`${path}.items`, "must be specified")]
      : []),
    ...typeCauses(schema, level, path),
    ...extensionCauses(schema, level, path),
    ...valueCauses(schema, path, saysIntOrString(schema), Boolean(first && saysIntOrString(first))),
    ...metadataCauses(schema, level, path),
    // Upstream compares those of the root alone.
    ...(level === "root" ? junctorsComplete(schema, schema, path, path) : []),
    ...(items ? checkStructure(items, "items", `${path}.items`) : []),
    ...(additional ? checkStructure(additional, "field", `${path}.additionalProperties`) : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, property]) =>
      checkStructure(property, "field", `${path}.properties[${name}]`),
    ),
  ];
}
