/** Definitions of kinds as OpenAPI has them: those of the table, and those of custom resources. */
import { apiVersionOf, type Kind } from "#resources/kind.ts";
import {
  API_VERSION,
  KIND,
  METADATA,
  OBJECT_META_FIELDS,
} from "#resources/openapi/descriptions.ts";
import { definitions, type Schema } from "#resources/schema.ts";

/** A part of an OpenAPI document. */
export type Doc = { [key: string]: unknown };

/** The two versions differ in where definitions are and in what a schema may say. */
export interface Dialect {
  readonly version: 2 | 3;
  readonly prefix: string;
}

export const V2: Dialect = { version: 2, prefix: "#/definitions/" };
export const V3: Dialect = { version: 3, prefix: "#/components/schemas/" };

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
export const DELETE_OPTIONS = `${META}DeleteOptions`;
export const STATUS = `${META}Status`;
export const PATCH = `${META}Patch`;
export const SCALE = "io.k8s.api.autoscaling.v1.Scale";
const LIST_META = `${META}ListMeta`;
const OBJECT_META = `${META}ObjectMeta`;
const QUANTITY = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";

/** The definition's name: `io.k8s.api.core.v1.Pod`, `com.example.v1.Widget`. */
export function schemaName(kind: Kind): string {
  if (typeof kind.schema === "string") return kind.schema;
  return [...kind.group.split(".").reverse(), kind.version, kind.kind].join(".");
}

export const listName = (kind: Kind): string => schemaName(kind).replace(/[^.]+$/, kind.listKind);

export const refTo = (name: string, { prefix }: Dialect): Doc => ({ $ref: `${prefix}${name}` });

/** Every definition that the named ones need, themselves included. */
export function definitionsFor(
  names: Iterable<string>,
  kinds: readonly Kind[],
  dialect: Dialect,
): Doc {
  const custom = customDefinitions(kinds, dialect);
  const out: Doc = {};
  const waiting = [...names];
  const follow = (name: string): void => {
    waiting.push(name);
  };
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (Object.hasOwn(out, name)) continue;
    const made = custom.get(name);
    const schema = definitions()[name];
    if (made !== undefined) {
      out[name] = made;
      follow(OBJECT_META);
      follow(LIST_META);
    } else if (schema !== undefined) out[name] = definition(name, schema, dialect, follow);
  }
  return sortedByName(out);
}

function sortedByName(docs: Doc): Doc {
  return Object.fromEntries(Object.entries(docs).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function definition(
  name: string,
  schema: Schema,
  dialect: Dialect,
  follow: (name: string) => void,
): Doc {
  const isV3 = dialect.version === 3;
  if (name === QUANTITY) {
    return isV3 ? { oneOf: [{ type: "string" }, { type: "number" }] } : { type: "string" };
  }
  if (name === INT_OR_STRING) {
    const format = "int-or-string";
    return isV3
      ? { format, oneOf: [{ type: "integer" }, { type: "string" }] }
      : { format, type: "string" };
  }
  const made = native(schema, dialect, follow);
  return name === OBJECT_META ? described(made) : made;
}

function described(objectMeta: Doc): Doc {
  const properties = Object.entries(objectMeta["properties"] as Doc).map(([field, doc]) => {
    const description = OBJECT_META_FIELDS[field];
    return [field, description === undefined ? doc : { ...(doc as Doc), description }];
  });
  return { ...objectMeta, properties: Object.fromEntries(properties) };
}

const CONTAINERS = ["properties", "items", "additionalProperties", "$ref"];

function native(schema: Schema, dialect: Dialect, follow: (name: string) => void): Doc {
  const out: Doc = {};
  for (const [key, value] of Object.entries(schema)) {
    if (!CONTAINERS.includes(key)) out[key] = value;
  }
  const { $ref, properties, items, additionalProperties } = schema;
  if ($ref !== undefined) {
    follow($ref);
    const ref = refTo($ref, dialect);
    // OpenAPI 3 ignores what stands beside a reference.
    if (dialect.version === 2 || Object.keys(out).length === 0) return { ...ref, ...out };
    return { allOf: [ref], ...out };
  }
  if (items !== undefined) out["items"] = native(items, dialect, follow);
  if (typeof additionalProperties === "object") {
    out["additionalProperties"] = native(additionalProperties, dialect, follow);
  }
  if (properties !== undefined) {
    const entries = Object.entries(properties);
    out["properties"] = Object.fromEntries(
      entries.map(([key, child]) => [key, native(child, dialect, follow)]),
    );
  }
  return out;
}

function customDefinitions(kinds: readonly Kind[], dialect: Dialect): Map<string, Doc> {
  const out = new Map<string, Doc>();
  for (const kind of kinds) {
    if (typeof kind.schema === "string") continue;
    out.set(schemaName(kind), customDefinition(kind, kind.schema, dialect));
    out.set(listName(kind), customList(kind, dialect));
  }
  return out;
}

const gvkOf = ({ group, version }: Kind, kind: string): Doc => ({ group, kind, version });

const text = { type: "string" };

/** What every object has, at the root or embedded. */
function objectFields(dialect: Dialect): Doc {
  const ref = refTo(OBJECT_META, dialect);
  const metadata = dialect.version === 3 ? { allOf: [ref] } : ref;
  return {
    apiVersion: { ...text, description: API_VERSION },
    kind: { ...text, description: KIND },
    metadata: { ...metadata, description: METADATA },
  };
}

const isFree = (schema: Doc): boolean => schema["x-kubernetes-preserve-unknown-fields"] === true;

function customDefinition(kind: Kind, schema: Schema, dialect: Dialect): Doc {
  const about = { "x-kubernetes-group-version-kind": [gvkOf(kind, kind.kind)] };
  // Clients of version 2 take properties for all that there are.
  if (dialect.version === 2 && isFree(schema as Doc)) return { type: "object", ...about };
  const shape = dialect.version === 3 ? (schema as Doc) : withoutV3(schema as Doc);
  const { properties, ...rest } = withEmbedded(shape, dialect);
  return {
    ...rest,
    type: "object",
    properties: { ...(properties as Doc), ...objectFields(dialect) },
    ...about,
  };
}

/** Objects in objects have the fields of objects, too. */
function withEmbedded(schema: Doc, dialect: Dialect): Doc {
  const out: Doc = { ...schema };
  const { properties } = schema;
  const inner = (doc: Doc): Doc => withEmbedded(doc, dialect);
  if (properties !== undefined) out["properties"] = mapDocs(properties as Doc, inner);
  for (const key of ["items", "additionalProperties"]) {
    if (typeof schema[key] === "object") out[key] = inner(schema[key] as Doc);
  }
  if (schema["x-kubernetes-embedded-resource"] !== true) return out;
  if (dialect.version === 2 && isFree(schema)) return out;
  const required = new Set([...((schema["required"] as string[]) ?? []), "kind", "apiVersion"]);
  return {
    ...out,
    required: [...required],
    properties: { ...(out["properties"] as Doc), ...objectFields(dialect) },
  };
}

function customList(kind: Kind, dialect: Dialect): Doc {
  return {
    description: `${kind.listKind} is a list of ${kind.kind}`,
    type: "object",
    required: ["items"],
    properties: {
      apiVersion: text,
      items: { type: "array", items: refTo(schemaName(kind), dialect) },
      kind: text,
      metadata: refTo(LIST_META, dialect),
    },
    "x-kubernetes-group-version-kind": [gvkOf(kind, kind.listKind)],
  };
}

/** What OpenAPI 2 does not know is left out: the result allows more than the schema, never less. */
const V3_ONLY = new Set(["nullable", "oneOf", "anyOf", "allOf", "not", "x-kubernetes-validations"]);

function withoutV3(schema: Doc): Doc {
  const nullable = schema["nullable"] === true;
  const untyped = isFree(schema) || nullable;
  const out: Doc = {};
  for (const [key, value] of Object.entries(schema)) {
    if (V3_ONLY.has(key)) continue;
    if (key === "properties" || key === "items") {
      if (untyped) continue;
      out[key] = key === "items" ? withoutV3(value as Doc) : mapDocs(value as Doc, withoutV3);
    } else if (key === "additionalProperties") {
      out[key] = typeof value === "object" ? withoutV3(value as Doc) : value;
    } else out[key] = value;
  }
  const { type } = out;
  const lost = type === "object" ? isFree(schema) : type === "array" && out["items"] === undefined;
  if (nullable || lost) delete out["type"];
  return withoutNullables(schema, out);
}

/** A field that may be null need not be there for a client that knows no null. */
function withoutNullables(schema: Doc, out: Doc): Doc {
  if (!Array.isArray(out["required"])) return out;
  const properties = (schema["properties"] ?? {}) as Record<string, Doc>;
  const left = out["required"].filter((name) => properties[name]?.["nullable"] !== true);
  if (left.length > 0) out["required"] = left;
  else delete out["required"];
  return out;
}

function mapDocs(docs: Doc, change: (doc: Doc) => Doc): Doc {
  return Object.fromEntries(
    Object.entries(docs).map(([key, value]) => [key, change(value as Doc)]),
  );
}

/** For the hash of a document: all that its definitions depend on. */
export const kindKey = (kind: Kind): string =>
  JSON.stringify([
    apiVersionOf(kind),
    kind.kind,
    kind.plural,
    kind.namespaced,
    kind.verbsLeftOut,
    kind.subresources,
    kind.schema,
  ]);
