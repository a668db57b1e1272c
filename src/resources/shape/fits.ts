/**
 * The quick look: whether an object is exactly as it should be. Most are, and pay only for this.
 */
import { limits } from "#base/limits.ts";
import { Code, type Node } from "#resources/shape/node.ts";
import {
  isBase64,
  isCanonicalMicroTime,
  isCanonicalQuantity,
  isCanonicalTime,
} from "#resources/shape/scalars.ts";

export const INT32_MAX = 2 ** 31 - 1;

export function isInt32(value: unknown): value is number {
  return (
    typeof value === "number" &&
    Number.isInteger(value) &&
    value >= ~INT32_MAX &&
    value <= INT32_MAX
  );
}

type Fields = Record<string, unknown>;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** No unknown field, every type right, nothing null, every scalar in canonical form. */
export function fits(node: Node, value: unknown, depth = 0): boolean {
  if (depth > limits.objectDepthMax) return false;
  switch (node.code) {
    case Code.struct:
      return isFields(value) ? fitsStruct(node, value, depth + 1) : value === null && node.nullable;
    case Code.list:
      return Array.isArray(value)
        ? fitsList(node, value, depth + 1)
        : value === null && node.nullable;
    case Code.map:
      return isFields(value) ? fitsMap(node, value, depth + 1) : value === null && node.nullable;
    default:
      return fitsScalar(node, value);
  }
}

function fitsStruct(node: Node, value: Fields, depth: number): boolean {
  const { children, open } = node;
  for (const key in value) {
    const child = children.get(key);
    if (child === undefined) {
      if (!open) return false;
    } else if (!fits(child, value[key], depth)) return false;
  }
  return true;
}

function fitsList(node: Node, value: readonly unknown[], depth: number): boolean {
  const { item } = node;
  if (item === undefined) return true;
  for (let i = 0; i < value.length; i++) if (!fits(item, value[i], depth)) return false;
  return true;
}

function fitsMap(node: Node, value: Fields, depth: number): boolean {
  const { item } = node;
  if (item === undefined) return true;
  for (const key in value) if (!fits(item, value[key], depth)) return false;
  return true;
}

function fitsScalar(node: Node, value: unknown): boolean {
  switch (node.code) {
    case Code.any:
      if (value !== null || node.native) return true;
      break;
    case Code.anyObject:
      return isFields(value);
    case Code.intOrString:
      if (typeof value === "string" || isInt32(value)) return true;
      break;
    case Code.int32:
      if (isInt32(value)) return true;
      break;
    case Code.int64:
      if (typeof value === "number" && Number.isInteger(value)) return true;
      break;
    case Code.number:
      if (typeof value === "number") return true;
      break;
    case Code.boolean:
      if (typeof value === "boolean") return true;
      break;
    default:
      if (typeof value === "string") return fitsText(node.code, value);
  }
  return value === null && node.nullable;
}

function fitsText(code: Node["code"], value: string): boolean {
  switch (code) {
    case Code.quantity:
      return isCanonicalQuantity(value);
    case Code.time:
      return isCanonicalTime(value);
    case Code.microTime:
      return isCanonicalMicroTime(value);
    case Code.bytes:
      return isBase64(value);
    default:
      return true;
  }
}
