/**
 * Whether an object has the shape that its schema says, for built-in kinds and custom resources
 * alike. What only a kind knows (required fields, ranges, immutability) is checked by the kind.
 */
import type { Cause } from "#resources/field.ts";
import type { Schema } from "#resources/schema.ts";
import { fits } from "#resources/shape/fits.ts";
import { Code, type Node, nodeOf } from "#resources/shape/node.ts";
import { Findings, root, tidy } from "#resources/shape/tidy.ts";

export interface Shape {
  /** Paths as `spec.containers[0].foo`. */
  readonly unknownFields: string[];
  /** Wrong types and unreadable values. */
  readonly causes: Cause[];
  /**
   * The first cause in the words of Go's JSON decoder, as Kubernetes answers it for built-in kinds.
   */
  readonly decodeError?: string;
}

const fitting: Shape = Object.freeze({ unknownFields: [], causes: [] });

/**
 * Checks types and finds unknown fields. The object belongs to the caller: what is only untidy is
 * put in the form that Kubernetes stores (nulls dropped, `1000m` to `1`, times in UTC). Unknown
 * fields stay.
 */
export function checkShape(object: unknown, schema: Schema): Shape {
  const node = nodeOf(schema);
  if (fits(node, object)) return fitting;
  const findings = new Findings();
  tidy(node, object, root, findings);
  const { unknownFields, causes, decodeError } = findings;
  return { unknownFields, causes, ...(decodeError !== undefined && { decodeError }) };
}

/**
 * Drops fields that the schema does not name, in place; `x-kubernetes-preserve-unknown-fields`
 * keeps them.
 */
export function pruneUnknown(object: unknown, schema: Schema): void {
  prune(nodeOf(schema), object);
}

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function prune(node: Node, value: unknown): void {
  if (node.code === Code.struct && isFields(value)) {
    for (const key of Object.keys(value)) {
      const child = node.children.get(key);
      if (child !== undefined) prune(child, value[key]);
      else if (!node.open) delete value[key];
    }
  } else if (node.item !== undefined && Array.isArray(value)) {
    for (const item of value) prune(node.item, item);
  } else if (node.item !== undefined && isFields(value)) {
    for (const key of Object.keys(value)) prune(node.item, value[key]);
  }
}

/**
 * Sets the defaults of a structural schema where nothing is, or null that is no value there; in
 * place.
 */
export function applySchemaDefaults(object: unknown, schema: Schema): void {
  setDefaults(nodeOf(schema), object);
}

const missing = (node: Node, value: unknown): boolean =>
  value === undefined || (value === null && !node.nullable);

function setDefaults(node: Node, value: unknown): void {
  if (node.native) return;
  if (node.code === Code.struct && isFields(value)) {
    for (const [key, child] of node.children) {
      if (missing(child, value[key])) {
        if (child.default !== undefined) value[key] = structuredClone(child.default);
        else if (value[key] === null) delete value[key];
      }
      if (value[key] !== undefined) setDefaults(child, value[key]);
    }
    return;
  }
  const { item } = node;
  if (item === undefined || typeof value !== "object" || value === null) return;
  const entries = value as Fields;
  for (const key of Object.keys(entries)) {
    if (missing(item, entries[key])) {
      if (item.default !== undefined) entries[key] = structuredClone(item.default);
      else if (node.code === Code.map) delete entries[key];
    }
    setDefaults(item, entries[key]);
  }
}
