/**
 * Schemas made ready for checking: `$ref`s followed, types told apart once, and scalars that have
 * an own form (quantities, times, bytes) recognised. Built-in kinds are typed as Go decodes them
 * (`native`), custom resources as their structural schema says.
 */
import { definitions, type Schema } from "#resources/schema.ts";

export const Code = {
  any: 0,
  anyObject: 1,
  text: 2,
  time: 3,
  microTime: 4,
  bytes: 5,
  quantity: 6,
  intOrString: 7,
  int32: 8,
  int64: 9,
  number: 10,
  boolean: 11,
  list: 12,
  map: 13,
  struct: 14,
} as const;
type Code = (typeof Code)[keyof typeof Code];

export interface Node {
  readonly code: Code;
  readonly native: boolean;
  /** Custom resources only: null is a value here. */
  readonly nullable: boolean;
  /** Fields that the schema does not name are kept. */
  readonly open: boolean;
  /** As a message names it: of Go for native ones (`[]v1.Container`), of JSON for custom ones. */
  readonly type: string;
  /** Of a native struct: `PodSpec`. */
  readonly name: string;
  readonly children: Map<string, Node>;
  readonly item: Node | undefined;
  /** Present only where the schema has one. */
  readonly default?: unknown;
}

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const NAMED: Readonly<Record<string, readonly [Code, string]>> = {
  "io.k8s.apimachinery.pkg.api.resource.Quantity": [Code.quantity, "resource.Quantity"],
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString": [Code.intOrString, "int32"],
  [`${META}Time`]: [Code.time, "string"],
  [`${META}MicroTime`]: [Code.microTime, "string"],
  [`${META}FieldsV1`]: [Code.any, "v1.FieldsV1"],
  "io.k8s.apimachinery.pkg.runtime.RawExtension": [Code.any, "runtime.RawExtension"],
};

const nodes = new WeakMap<Schema, Node>();
let native: Set<Schema> | undefined;

/** Of the root of an object; the schema of a custom resource need not name kind and metadata. */
export function nodeOf(schema: Schema): Node {
  const known = nodes.get(schema);
  if (known !== undefined) return known;
  native ??= new Set(Object.values(definitions()));
  const node = native.has(schema) ? nativeNode(schema, nameOf(schema)) : customNode(schema, true);
  nodes.set(schema, node);
  return node;
}

function nameOf(schema: Schema): string {
  for (const [name, definition] of Object.entries(definitions())) {
    if (definition === schema) return name;
  }
  return "";
}

const named = new Map<string, Node>();

function definedNode(name: string): Node {
  const known = named.get(name);
  if (known !== undefined) return known;
  return nativeNode(definitions()[name] ?? {}, name);
}

const plain = {
  native: true,
  nullable: false,
  open: false,
  name: "",
  item: undefined,
  children: new Map<string, Node>(),
};

/** `io.k8s.api.core.v1.PodSpec` as Go prints the type: `v1.PodSpec`. */
const goType = (name: string): string => name.split(".").slice(-2).join(".");

function nativeNode(schema: Schema, name = ""): Node {
  if (schema.$ref !== undefined) return definedNode(schema.$ref);
  const special = NAMED[name];
  if (special !== undefined) {
    const node: Node = { ...plain, code: special[0], type: special[1] };
    named.set(name, node);
    return node;
  }
  if (schema.properties !== undefined) {
    const children = new Map<string, Node>();
    const short = name.split(".").at(-1) ?? "";
    const node = { ...plain, code: Code.struct, type: goType(name), name: short, children };
    // Known before its children are made: a schema may hold itself.
    if (name !== "") named.set(name, node);
    for (const [key, child] of Object.entries(schema.properties)) {
      children.set(key, nativeNode(child));
    }
    return node;
  }
  return nativeLeaf(schema);
}

function nativeLeaf(schema: Schema): Node {
  switch (schema.type) {
    case "array": {
      const item = nativeNode(schema.items ?? {});
      return { ...plain, code: Code.list, type: `[]${item.type}`, item };
    }
    case "string":
      return schema.format === "byte"
        ? { ...plain, code: Code.bytes, type: "[]uint8" }
        : { ...plain, code: Code.text, type: "string" };
    case "integer":
      return schema.format === "int32"
        ? { ...plain, code: Code.int32, type: "int32" }
        : { ...plain, code: Code.int64, type: "int64" };
    case "number":
      return { ...plain, code: Code.number, type: "float64" };
    case "boolean":
      return { ...plain, code: Code.boolean, type: "bool" };
    case "object": {
      if (typeof schema.additionalProperties !== "object") {
        return { ...plain, code: Code.anyObject, type: "map[string]interface {}" };
      }
      const item = nativeNode(schema.additionalProperties);
      return { ...plain, code: Code.map, type: `map[string]${item.type}`, item };
    }
    default:
      return { ...plain, code: Code.any, type: "interface {}" };
  }
}

const CUSTOM: Readonly<Record<string, Code>> = {
  string: Code.text,
  integer: Code.int64,
  number: Code.number,
  boolean: Code.boolean,
};

function customNode(schema: Schema, root = false): Node {
  if (schema.$ref !== undefined) return definedNode(schema.$ref);
  const base = {
    ...plain,
    native: false,
    nullable: schema.nullable === true,
    open: schema["x-kubernetes-preserve-unknown-fields"] === true,
    ...(schema.default !== undefined && { default: schema.default }),
    type: schema.type ?? "",
  };
  if (schema["x-kubernetes-int-or-string"] === true) {
    return { ...base, code: Code.intOrString, type: "integer,string" };
  }
  if (schema.type === "array") {
    return { ...base, code: Code.list, item: customNode(schema.items ?? { nullable: true }) };
  }
  const scalar = CUSTOM[schema.type ?? ""];
  if (scalar !== undefined) return { ...base, code: scalar };
  return customObject(schema, base, root);
}

function customObject(schema: Schema, base: Omit<Node, "code">, root: boolean): Node {
  const { properties, additionalProperties } = schema;
  const embedded = root || schema["x-kubernetes-embedded-resource"] === true;
  const holdsMore = additionalProperties !== undefined && additionalProperties !== false;
  const isObject = schema.type === "object" || properties !== undefined || root;
  if (!isObject) return { ...base, code: Code.any };
  const children = new Map<string, Node>();
  for (const [key, child] of Object.entries(properties ?? {})) children.set(key, customNode(child));
  if (embedded) {
    const text: Node = { ...plain, code: Code.text, type: "string" };
    if (!children.has("apiVersion")) children.set("apiVersion", text);
    if (!children.has("kind")) children.set("kind", text);
    children.set("metadata", definedNode(`${META}ObjectMeta`));
  }
  if (holdsMore && properties === undefined && !embedded) {
    // Where no schema says so, null is as good as any other value.
    const item = customNode(
      additionalProperties === true ? { nullable: true } : additionalProperties,
    );
    return { ...base, code: Code.map, type: "object", item };
  }
  return { ...base, code: Code.struct, type: "object", children, open: base.open || holdsMore };
}
