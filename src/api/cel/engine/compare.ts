/** Equality and order of values. Numbers of all types are on one line. */
import type { Context } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { sameType } from "#api/cel/engine/unify.ts";
import {
  CelMap,
  Duration,
  Extension,
  List,
  Optional,
  Timestamp,
  TypeValue,
  Uint,
  type Value,
} from "#api/cel/engine/values.ts";

const isNumber = (value: Value): value is bigint | number | Uint =>
  typeof value === "bigint" || typeof value === "number" || value instanceof Uint;

const bare = (value: bigint | number | Uint): bigint | number =>
  value instanceof Uint ? value.value : value;

/** Across types: 1 is 1.0. */
const sameNumber = (a: bigint | number, b: bigint | number): boolean => a >= b && a <= b;

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

function sameLists(a: List, b: List, context: Context): boolean {
  if (a.size !== b.size) return false;
  const keys = a.keys ?? b.keys;
  if (keys !== undefined) return sameUnordered(a, b, context);
  for (let i = 0; i < a.size; i++) if (!equal(a.at(i), b.at(i), context)) return false;
  return true;
}

function sameUnordered(a: List, b: List, context: Context): boolean {
  for (const each of a) if (!includes(b, each, context)) return false;
  return true;
}

function sameMaps(a: CelMap, b: CelMap, context: Context): boolean {
  if (a.size !== b.size) return false;
  for (const key of a.keys()) {
    const left = a.get(key);
    const right = b.get(key);
    if (left === undefined || right === undefined || !equal(left, right, context)) return false;
  }
  return true;
}

/** Values of different types are not equal, which is no error. */
export function equal(a: Value, b: Value, context: Context): boolean {
  if (a === b) return true;
  context.work(1);
  if (isNumber(a) && isNumber(b)) return sameNumber(bare(a), bare(b));
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (a instanceof List) return b instanceof List && sameLists(a, b, context);
  if (a instanceof CelMap) return b instanceof CelMap && sameMaps(a, b, context);
  if (a instanceof Uint8Array) return b instanceof Uint8Array && sameBytes(a, b);
  if (a instanceof Timestamp) return b instanceof Timestamp && a.nanos === b.nanos;
  if (a instanceof Duration) return b instanceof Duration && a.nanos === b.nanos;
  if (a instanceof TypeValue) return b instanceof TypeValue && sameTypeName(a, b);
  if (a instanceof Optional) return b instanceof Optional && sameOptionals(a, b, context);
  return a instanceof Extension && b instanceof Extension && a.equals(b);
}

/** `type([1]) == list` holds whatever is in the list. */
function sameTypeName(a: TypeValue, b: TypeValue): boolean {
  return a.type.kind === b.type.kind && (a.type.kind !== "object" || sameType(a.type, b.type));
}

function sameOptionals(a: Optional, b: Optional, context: Context): boolean {
  if (a.value === undefined || b.value === undefined) return a.value === b.value;
  return equal(a.value, b.value, context);
}

export function includes(list: List, value: Value, context: Context): boolean {
  for (const each of list) if (equal(each, value, context)) return true;
  return false;
}

const sign = (less: boolean, same: boolean): number => (same ? 0 : less ? -1 : 1);

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  // What stands after the end of the shorter one does not count.
  const units = Math.min(a.length, b.length) + 1;
  const left = a.slice(0, units);
  const right = b.slice(0, units);
  // By code point, as Go compares bytes of UTF-8: surrogates sort differently in UTF-16.
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** Negative, 0 or positive; NaN where one of them is. @throws CelError for what has no order. */
export function compare(a: Value, b: Value): number {
  if (isNumber(a) && isNumber(b)) {
    const left = bare(a);
    const right = bare(b);
    if (Number.isNaN(left) || Number.isNaN(right)) return Number.NaN;
    return sign(left < right, sameNumber(left, right));
  }
  if (typeof a === "string" && typeof b === "string") return compareText(a, b);
  if (typeof a === "boolean" && typeof b === "boolean") return Number(a) - Number(b);
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b);
  if (a instanceof Timestamp && b instanceof Timestamp) {
    return sign(a.nanos < b.nanos, a.nanos === b.nanos);
  }
  if (a instanceof Duration && b instanceof Duration) {
    return sign(a.nanos < b.nanos, a.nanos === b.nanos);
  }
  throw new CelError("no such overload");
}
