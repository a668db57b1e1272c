/**
 * The schemas of custom resources: structural, so that pruning, defaults and merges know every
 * field (apiextensions validation; "Extend the Kubernetes API with CustomResourceDefinitions").
 */
import { type Cause, forbidden, invalid } from "#resources/field.ts";
import type { JSONSchemaProps } from "#resources/types.gen.ts";
import { checkOpenApi } from "#resources/validate/crdopenapi.ts";
import { checkStructure } from "#resources/validate/crdstructure.ts";

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Items and additional properties may be anything in JSON; here they are schemas or nothing. */
export const schemaOf = (value: unknown): JSONSchemaProps | undefined =>
  isObject(value) ? (value as JSONSchemaProps) : undefined;

/** Whether a field says something: not what its type says when it is left out. */
export function isSet(value: unknown): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (isObject(value)) return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== "" && value !== false;
}

/** Fields by which one schema holds others, in the order in which upstream looks. */
function* children(schema: JSONSchemaProps): Generator<JSONSchemaProps> {
  if (schema.not) yield schema.not;
  for (const list of ["allOf", "anyOf", "oneOf"] as const) yield* schema[list] ?? [];
  const items = schemaOf(schema.items);
  if (items) yield items;
  yield* Object.values(schema.properties ?? {});
  const additional = schemaOf(schema.additionalProperties);
  if (additional) yield additional;
}

const UNBUILDABLE = [
  ["id", "id"],
  ["$schema", "schema"],
  ["$ref", "$ref"],
  ["patternProperties", "patternProperties"],
  ["dependencies", "dependencies"],
  ["additionalItems", "additionalItems"],
  ["definitions", "definitions"],
] as const;

/** Why no structure can be read out of a schema at all. */
function unbuildable(schema: JSONSchemaProps): string | undefined {
  const field = UNBUILDABLE.find(([name]) =>
    name === "additionalItems" ? schema[name] !== undefined : isSet(schema[name]),
  );
  if (field) return `OpenAPIV3Schema '${field[1]}' is not supported`;
  if (schema["x-kubernetes-preserve-unknown-fields"] === false) {
    return "internal error: 'x-kubernetes-preserve-unknown-fields' must be true or undefined";
  }
  if (Array.isArray(schema.items)) {
    return "OpenAPIV3Schema 'items' must be a schema, but is an array";
  }
  for (const child of children(schema)) {
    const why = unbuildable(child);
    if (why !== undefined) return why;
  }
  return undefined;
}

const ROOT_FIELDS = [
  "Description",
  "Type",
  "Format",
  "Title",
  "Maximum",
  "ExclusiveMaximum",
  "Minimum",
  "ExclusiveMinimum",
  "MaxLength",
  "MinLength",
  "Pattern",
  "MaxItems",
  "MinItems",
  "UniqueItems",
  "MultipleOf",
  "Required",
  "Items",
  "Properties",
  "ExternalDocs",
  "Example",
  "XPreserveUnknownFields",
  "XValidations",
];
const ALLOWED = new Set(
  ROOT_FIELDS.map((name) => name.slice(0, 1).toLowerCase() + name.slice(1)).concat(
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
  ),
);

/** With a status subresource the root may hold little beside its fields. */
function statusCauses(schema: JSONSchemaProps, path: string): Cause[] {
  const fields = Object.entries(schema).filter(([, value]) => isSet(value));
  if (isSet(schema.type) && schema.type !== "object") {
    const detail =
      'only "object" is allowed as the type at the root of the schema if the status subresource ' +
      "is enabled";
    return [invalid(`${path}.type`, schema.type, detail)];
  }
  if (fields.every(([name]) => ALLOWED.has(name))) return [];
  const detail =
    `only [${ROOT_FIELDS.join(" ")}] fields are allowed at the root of the schema if the ` +
    "status subresource is enabled";
  return [invalid(path, schema, detail)];
}

/** The schema of one version. */
export function checkCustomSchema(
  schema: JSONSchemaProps,
  hasStatus: boolean,
  path: string,
): Cause[] {
  const why = unbuildable(schema);
  const causes = [
    ...(hasStatus ? statusCauses(schema, path) : []),
    ...(schema.nullable === true
      ? [forbidden(`${path}.nullable`, "nullable cannot be true at the root")]
      : []),
    ...(why === undefined ? checkStructure(schema, "root", path) : []),
    ...checkOpenApi(schema, path),
  ];
  return causes.length === 0 && why !== undefined ? [invalid(path, "", why)] : causes;
}
