/** What each schema of a custom resource may hold, at any depth (apiextensions validation). */
import { type Cause, forbidden, invalid, notSupported, required } from "#resources/field.ts";
import type { JSONSchemaProps, ValidationRule } from "#resources/types.gen.ts";
import { each, supported } from "#resources/validate/basic.ts";
import { checkMapList } from "#resources/validate/crdlist.ts";
import { schemaOf } from "#resources/validate/crdschema.ts";

const TYPES = ["array", "boolean", "integer", "number", "object", "string"];
const META = new Set(["metadata", "apiVersion", "kind"]);
const REASONS = [
  "FieldValueDuplicate",
  "FieldValueForbidden",
  "FieldValueInvalid",
  "FieldValueRequired",
];

/** Where in the object a schema is. */
interface Place {
  readonly root: boolean;
  /** Inside of metadata, `kind` or `apiVersion`. */
  readonly meta: boolean;
  /** Why there may be no defaults. */
  readonly noDefaults: string | undefined;
}

const isFilled = (value: object | undefined): boolean =>
  value !== undefined && Object.keys(value).length > 0;

function fieldCauses(schema: JSONSchemaProps, place: Place, path: string): Cause[] {
  const { type = "" } = schema;
  const unsupported = {
    id: Boolean(schema.id),
    additionalItems: schema.additionalItems !== undefined,
    patternProperties: isFilled(schema.patternProperties),
    definitions: isFilled(schema.definitions),
    dependencies: schema.dependencies !== undefined,
    $ref: schema.$ref !== undefined,
  };
  const causes = type && !TYPES.includes(type) ? [notSupported(`${path}.type`, type, TYPES)] : [];
  if (schema.default !== undefined && place.noDefaults !== undefined) {
    causes.push(forbidden(`${path}.default`, `must not be set ${place.noDefaults}`));
  }
  for (const [name, there] of Object.entries(unsupported)) {
    if (there) causes.push(forbidden(`${path}.${name}`, `${name} is not supported`));
  }
  if (type === "null") {
    const detail = "type cannot be set to null, use nullable as an alternative";
    causes.push(forbidden(`${path}.type`, detail));
  }
  if (Array.isArray(schema.items) && schema.items.length > 0) {
    const detail = "items must be a schema object and not an array";
    causes.push(forbidden(`${path}.items`, detail));
  }
  if (place.meta && schema["x-kubernetes-embedded-resource"] === true) {
    const detail = "must not be used inside of resource meta";
    causes.push(forbidden(`${path}.x-kubernetes-embedded-resource`, detail));
  }
  return causes;
}

function shapeCauses(schema: JSONSchemaProps, path: string): Cause[] {
  const causes: Cause[] = [];
  if (schema.uniqueItems === true) {
    const detail =
      "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
    causes.push(forbidden(`${path}.uniqueItems`, detail));
  }
  const { additionalProperties: additional } = schema;
  if (additional !== undefined && isFilled(schema.properties) && additional !== true) {
    const detail = "additionalProperties and properties are mutual exclusive";
    causes.push(forbidden(`${path}.additionalProperties`, detail));
  }
  if (schema["x-kubernetes-preserve-unknown-fields"] === false) {
    const at = `${path}.x-kubernetes-preserve-unknown-fields`;
    causes.push(invalid(at, false, "must be true or undefined"));
  }
  return causes;
}

/** A schema with this extension must be of one type. */
function needsType(
  schema: JSONSchemaProps,
  extension: string,
  type: string,
  path: string,
): Cause[] {
  if (schema.type === type) return [];
  const detail = `must be ${type} if ${extension} is specified`;
  const at = `${path}.type`;
  return [schema.type ? invalid(at, schema.type, detail) : required(at, detail)];
}

function mapCauses(schema: JSONSchemaProps, path: string): Cause[] {
  const name = "x-kubernetes-map-type";
  const mapType = schema[name];
  if (mapType === undefined) return [];
  return [
    ...needsType(schema, name, "object", path),
    ...supported(mapType, ["atomic", "granular"], `${path}.${name}`),
  ];
}

/** Items of a set are compared whole. */
function setCauses(schema: JSONSchemaProps, path: string): Cause[] {
  const items = schemaOf(schema.items);
  if (schema["x-kubernetes-list-type"] !== "set" || !items || schema.type !== "array") return [];
  const detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
  const { "x-kubernetes-list-type": list, "x-kubernetes-map-type": map } = items;
  if (items.type === "array" && list !== undefined && list !== "atomic") {
    return [invalid(`${path}.items.x-kubernetes-list-type`, list, detail)];
  }
  if (items.type !== "object" || map === "atomic") return [];
  return [invalid(`${path}.items.x-kubernetes-map-type`, list ?? null, detail)];
}

function listCauses(schema: JSONSchemaProps, path: string): Cause[] {
  const name = "x-kubernetes-list-type";
  const at = `${path}.${name}`;
  const listType = schema[name];
  const causes: Cause[] = [];
  if ((schema["x-kubernetes-list-map-keys"] ?? []).length > 0 && listType !== "map") {
    const detail = "must be map if x-kubernetes-list-map-keys is non-empty";
    causes.push(listType === undefined ? required(at, detail) : invalid(at, listType, detail));
  }
  if (listType === undefined) return causes;
  return [
    ...causes,
    ...needsType(schema, name, "array", path),
    ...setCauses(schema, path),
    ...supported(listType, ["atomic", "set", "map"], at),
    ...checkMapList(schema, listType, path),
  ];
}

const LINE_BREAK = /[\n\r]/;

function messageCauses({ rule, message }: ValidationRule, path: string): Cause[] {
  const expression = rule?.trim() ?? "";
  const text = message?.trim() ?? "";
  if (expression === "") return [required(`${path}.rule`, "rule is not specified")];
  const at = `${path}.message`;
  if (message && text === "") return [invalid(at, message, "must be non-empty if specified")];
  if (LINE_BREAK.test(text)) return [invalid(at, message, "must not contain line breaks")];
  if (!LINE_BREAK.test(expression) || text !== "") return [];
  return [required(at, "message must be specified if rule contains line breaks")];
}

function ruleCauses(schema: JSONSchemaProps, rule: ValidationRule, path: string): Cause[] {
  const { messageExpression, reason, fieldPath } = rule;
  const causes = messageCauses(rule, path);
  if (messageExpression && messageExpression.trim() === "") {
    const detail = "messageExpression must be non-empty if specified";
    causes.push(required(`${path}.messageExpression`, detail));
  }
  causes.push(...supported(reason, REASONS, `${path}.reason`));
  if (!fieldPath) return causes;
  const at = `${path}.fieldPath`;
  if (fieldPath.trim() === "") {
    causes.push(invalid(at, fieldPath, "must be non-empty if specified"));
  }
  if (LINE_BREAK.test(fieldPath)) {
    causes.push(invalid(at, fieldPath, "must not contain line breaks"));
  }
  if (typeof fieldAt(schema, fieldPath) === "string") {
    causes.push(invalid(at, fieldPath, "must be a valid path"));
  }
  return causes;
}

/** Keys of a path as `.spec['a-b'].c`. */
const STEP = /\.([^.[\]']+)|\['((?:[^'\\]|\\.)+)'\]/y;

const WORD = /^[^.[\]']+|^./;

/** The schema of the field that a path leads to; an error as text. */
export function fieldAt(root: JSONSchemaProps, path: string): JSONSchemaProps | string {
  let schema: JSONSchemaProps = root;
  for (let at = 0; at < path.length; at = STEP.lastIndex) {
    STEP.lastIndex = at;
    const step = STEP.exec(path);
    if (step === null) return `expected [ or . but got: ${WORD.exec(path.slice(at))?.[0] ?? ""}`;
    const name = step[1] ?? step[2]?.replace(/\\(.)/g, "$1") ?? "";
    const next = schema.properties
      ? schema.properties[name]
      : schemaOf(schema.additionalProperties);
    if (!next) return "does not refer to a valid field";
    schema = next;
  }
  return schema;
}

/** Schemas by which this one judges the same value. */
function junctors(schema: JSONSchemaProps, place: Place, path: string): Cause[] {
  const inside = { ...place, root: false };
  const lists = (["allOf", "oneOf", "anyOf"] as const).flatMap((list) =>
    each(schema[list], `${path}.${list}`, (part, at) => schemaCauses(part, inside, at)),
  );
  return [...lists, ...(schema.not ? schemaCauses(schema.not, inside, `${path}.not`) : [])];
}

function partCauses(schema: JSONSchemaProps, place: Place, path: string): Cause[] {
  const inside = { ...place, root: false };
  const additional = schemaOf(schema.additionalProperties);
  const items = schemaOf(schema.items);
  const owns = place.root || schema["x-kubernetes-embedded-resource"] === true;
  const free = place.meta
    ? { ...inside, noDefaults: "inside additionalProperties applying to object metadata" }
    : inside;
  return [
    ...(additional ? schemaCauses(additional, free, `${path}.additionalProperties`) : []),
    ...Object.entries(schema.properties ?? {}).flatMap(([name, property]) => {
      const meta = place.meta || (owns && META.has(name));
      const top = place.root && META.has(name) ? `in top-level ${name}` : place.noDefaults;
      const there = { root: false, meta, noDefaults: top };
      return schemaCauses(property, there, `${path}.properties[${name}]`);
    }),
    ...Object.entries(schema.definitions ?? {}).flatMap(([name, part]) =>
      schemaCauses(part, inside, `${path}.definitions[${name}]`),
    ),
    ...(items ? schemaCauses(items, inside, `${path}.items`) : []),
  ];
}

function schemaCauses(schema: JSONSchemaProps, place: Place, path: string): Cause[] {
  return [
    ...fieldCauses(schema, place, path),
    ...shapeCauses(schema, path),
    ...partCauses(schema, place, path),
    ...junctors(schema, place, path),
    ...mapCauses(schema, path),
    ...listCauses(schema, path),
    ...each(schema["x-kubernetes-validations"], `${path}.x-kubernetes-validations`, (rule, at) =>
      ruleCauses(schema, rule, at),
    ),
  ];
}

export const checkOpenApi = (schema: JSONSchemaProps, path: string): Cause[] =>
  schemaCauses(schema, { root: true, meta: false, noDefaults: undefined }, path);
