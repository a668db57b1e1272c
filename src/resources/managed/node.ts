/**
 * How each part of an object merges: whole (`leaf`), by its fields (`map`), by the items of a set
 * or by the keys of a list. Made from the schema once.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#merge-strategy
 */
import presenceText from "#resources/managed/presence.gen.json" with { type: "text" };
import { definitions, type Schema } from "#resources/schema.ts";

export interface MergeNode {
  /** `any` has no schema: its maps merge by field, all else is a leaf. */
  readonly kind: "leaf" | "map" | "set" | "list" | "any";
  /** Named fields of a map. */
  readonly fields: ReadonlyMap<string, MergeNode>;
  /** Of a map without named fields, or the items of a list. */
  readonly item: MergeNode | undefined;
  /** Keys of a list, sorted. */
  readonly keys: readonly string[];
  /** Fields that are there in Go even when JSON leaves them out. */
  readonly present: ReadonlySet<string>;
  /** Fields that nobody owns. */
  readonly unowned: ReadonlySet<string>;
}

const none: ReadonlySet<string> = new Set();
const base = { fields: new Map(), item: undefined, keys: [], present: none, unowned: none };
export const leaf: MergeNode = { ...base, kind: "leaf" };
export const anything: MergeNode = { ...base, kind: "any" };

const META = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const SCALARS = new Set([
  "io.k8s.apimachinery.pkg.api.resource.Quantity",
  "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
  `${META}Time`,
  `${META}MicroTime`,
]);
/** Set by the server, never by a manager (apimachinery managedfields, stripMeta). */
const UNOWNED_META = new Set([
  "name",
  "namespace",
  "creationTimestamp",
  "selfLink",
  "uid",
  "clusterName",
  "generation",
  "managedFields",
  "resourceVersion",
]);
const UNOWNED_ROOT = new Set(["apiVersion", "kind"]);

/** Keys of lists that may be left out, where Kubernetes says what they are then. */
export const KEY_DEFAULTS: Readonly<Record<string, unknown>> = { protocol: "TCP" };

const roots = new WeakMap<Schema, MergeNode>();
let native: Map<Schema, string> | undefined;
let presence: Record<string, string[]> | undefined;

/** The node of a whole object. */
export function mergeNodeOf(schema: Schema): MergeNode {
  const known = roots.get(schema);
  if (known !== undefined) return known;
  native ??= new Map(Object.entries(definitions()).map(([name, node]) => [node, name]));
  const name = native.get(schema);
  const whole = name === undefined ? customNode(schema) : defined(name);
  const fields = new Map(whole.fields);
  fields.set("metadata", { ...defined(`${META}ObjectMeta`), unowned: UNOWNED_META });
  const present = new Set([...whole.present, "metadata"]);
  const node: MergeNode = { ...whole, kind: "map", fields, present, unowned: UNOWNED_ROOT };
  roots.set(schema, node);
  return node;
}

const fulls = new WeakMap<MergeNode, MergeNode>();

/**
 * The same node with the fields that nobody owns: for questions about the object rather than its
 * owners.
 */
export function fullNodeOf(root: MergeNode): MergeNode {
  const known = fulls.get(root);
  if (known !== undefined) return known;
  const fields = new Map(root.fields);
  fields.set("metadata", defined(`${META}ObjectMeta`));
  const full: MergeNode = { ...root, fields, unowned: none };
  fulls.set(root, full);
  return full;
}

const named = new Map<string, MergeNode>();

function defined(name: string): MergeNode {
  const known = named.get(name);
  if (known !== undefined) return known;
  presence ??= JSON.parse(presenceText as unknown as string) as Record<string, string[]>;
  const schema = definitions()[name] ?? {};
  if (SCALARS.has(name) || schema["x-kubernetes-map-type"] === "atomic") return leaf;
  if (schema.properties === undefined) return nativeNode(schema);
  const fields = new Map<string, MergeNode>();
  const present = new Set(presence[name] ?? []);
  const node: MergeNode = { ...base, kind: "map", fields, present };
  // Known before its fields are made: a schema may hold itself.
  named.set(name, node);
  for (const [key, child] of Object.entries(schema.properties)) fields.set(key, nativeNode(child));
  return node;
}

function nativeNode(schema: Schema): MergeNode {
  if (schema["x-kubernetes-map-type"] === "atomic") return leaf;
  if (schema.$ref !== undefined) {
    const granular = schema["x-kubernetes-map-type"] === "granular";
    return granular ? granularNode(schema.$ref) : defined(schema.$ref);
  }
  if (schema.type === "array") return listNode(schema, nativeNode);
  if (schema.type === "object") {
    const { additionalProperties } = schema;
    if (typeof additionalProperties !== "object") return anything;
    return { ...base, kind: "map", item: nativeNode(additionalProperties) };
  }
  return schema.type === undefined ? anything : leaf;
}

/** A field that merges although its type elsewhere does not. */
function granularNode(name: string): MergeNode {
  const fields = new Map<string, MergeNode>();
  for (const [key, child] of Object.entries(definitions()[name]?.properties ?? {})) {
    fields.set(key, nativeNode(child));
  }
  return { ...base, kind: "map", fields };
}

function listNode(schema: Schema, nodeOf: (schema: Schema) => MergeNode): MergeNode {
  const type = schema["x-kubernetes-list-type"];
  if (type === "set") return { ...base, kind: "set", item: leaf };
  if (type !== "map") return leaf;
  const keys = [...(schema["x-kubernetes-list-map-keys"] ?? [])].sort();
  return { ...base, kind: "list", item: nodeOf(schema.items ?? {}), keys };
}

function customNode(schema: Schema): MergeNode {
  if (schema.$ref !== undefined) return defined(schema.$ref);
  if (schema["x-kubernetes-map-type"] === "atomic") return leaf;
  if (schema["x-kubernetes-int-or-string"] === true) return leaf;
  if (schema.type === "array") return listNode(schema, customNode);
  const { properties, additionalProperties: more } = schema;
  if (schema.type !== undefined && schema.type !== "object") return leaf;
  if (properties === undefined && more === undefined) return anything;
  const fields = new Map<string, MergeNode>();
  for (const [key, child] of Object.entries(properties ?? {})) fields.set(key, customNode(child));
  if (schema["x-kubernetes-embedded-resource"] === true) {
    fields.set("metadata", defined(`${META}ObjectMeta`));
  }
  return {
    ...base,
    kind: "map",
    fields,
    item: typeof more === "object" ? customNode(more) : anything,
  };
}

/** The node of one field of a map. */
export function fieldNode(node: MergeNode, key: string): MergeNode {
  return node.fields.get(key) ?? node.item ?? anything;
}
