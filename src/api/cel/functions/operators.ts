/**
 * Operators.
 * https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions
 */
import { compare, equal, includes } from "#api/cel/engine/compare.ts";
import { optionalGet } from "#api/cel/engine/compiler.ts";
import {
  type Context,
  type Cost,
  fn,
  LETTER_COST,
  type Overload,
  times,
} from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import {
  bool,
  bytes,
  double,
  duration,
  int,
  listOf,
  mapOf,
  optionalOf,
  param,
  string,
  type Type,
  timestamp,
  uint,
} from "#api/cel/engine/types.ts";
import {
  type CelMap,
  Duration,
  List,
  Timestamp,
  Uint,
  type Value,
} from "#api/cel/engine/values.ts";
import {
  checkedDuration,
  checkedInt,
  checkedTime,
  checkedUint,
  instance,
  integer,
  list,
  map,
  text,
} from "#api/cel/functions/arguments.ts";

const A = param("A");
const B = param("B");

const shorter: Cost = ([a = 1, b = 1]) => Math.ceil(times(Math.min(a, b), LETTER_COST));
const both: Cost = ([a = 0, b = 0]) => Math.ceil((a + b) * LETTER_COST);
const summed = ([a = 0, b = 0]: readonly number[]): number => a + b;

const unused = (): Value => {
  throw new CelError("no such overload");
};

/** Their arguments are not always evaluated: the compiler sees to them. */
const logic: readonly Overload[] = [
  fn("_&&_", [bool, bool], bool, unused),
  fn("_||_", [bool, bool], bool, unused),
  fn("_?_:_", [bool, A, A], A, unused),
  fn("!_", [bool], bool, ([a]) => a !== true),
];

const number = (value: Value | undefined): number => {
  if (typeof value === "number") return value;
  throw new CelError("no such overload");
};

function divide(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new CelError("division by zero");
  return a / b;
}

function remainder(a: bigint, b: bigint): bigint {
  if (b === 0n) throw new CelError("modulus by zero");
  return a % b;
}

type Arithmetic = readonly [string, (a: bigint, b: bigint) => bigint];

const whole: readonly Arithmetic[] = [
  ["_+_", (a, b) => a + b],
  ["_-_", (a, b) => a - b],
  ["_*_", (a, b) => a * b],
  ["_/_", divide],
  ["_%_", remainder],
];

const ints = whole.map(([name, work]) =>
  fn(name, [int, int], int, ([a, b]) => checkedInt(work(integer(a), integer(b)))),
);

const uints = whole.map(([name, work]) =>
  fn(name, [uint, uint], uint, ([a, b]) =>
    checkedUint(work(instance(a, Uint).value, instance(b, Uint).value)),
  ),
);

const doubles: readonly Overload[] = [
  fn("_+_", [double, double], double, ([a, b]) => number(a) + number(b)),
  fn("_-_", [double, double], double, ([a, b]) => number(a) - number(b)),
  fn("_*_", [double, double], double, ([a, b]) => number(a) * number(b)),
  fn("_/_", [double, double], double, ([a, b]) => number(a) / number(b)),
  fn("-_", [double], double, ([a]) => -number(a)),
  fn("-_", [int], int, ([a]) => checkedInt(-integer(a))),
];

const nanos = (value: Value | undefined): bigint =>
  value instanceof Timestamp ? value.nanos : instance(value, Duration).nanos;

const times64: readonly Overload[] = [
  fn("_+_", [timestamp, duration], timestamp, ([a, b]) => checkedTime(nanos(a) + nanos(b))),
  fn("_+_", [duration, timestamp], timestamp, ([a, b]) => checkedTime(nanos(a) + nanos(b))),
  fn("_+_", [duration, duration], duration, ([a, b]) => checkedDuration(nanos(a) + nanos(b))),
  fn("_-_", [timestamp, duration], timestamp, ([a, b]) => checkedTime(nanos(a) - nanos(b))),
  fn("_-_", [timestamp, timestamp], duration, ([a, b]) => checkedDuration(nanos(a) - nanos(b))),
  fn("_-_", [duration, duration], duration, ([a, b]) => checkedDuration(nanos(a) - nanos(b))),
  fn("-_", [duration], duration, ([a]) => checkedDuration(-nanos(a))),
];

function keyOf(item: Value, names: readonly string[]): string {
  return JSON.stringify(
    names.map((name) => {
      const value = map(item).get(name);
      return typeof value === "bigint" ? `i${value}` : (value ?? null);
    }),
  );
}

/** Sets and keyed lists merge; all others are put one behind the other. */
function concatenate(a: List, b: List, context: Context): List {
  const { keys } = a;
  context.work(a.size + b.size);
  if (keys === undefined) return new List([...a, ...b]);
  const out = [...a];
  if (keys === "set") {
    for (const each of b) if (!includes(a, each, context)) out.push(each);
    return new List(out, undefined, keys);
  }
  const places = new Map(out.map((item, index) => [keyOf(item, keys), index]));
  for (const each of b) {
    const at = places.get(keyOf(each, keys));
    if (at === undefined) out.push(each);
    else out[at] = each;
  }
  return new List(out, undefined, keys);
}

const joins: readonly Overload[] = [
  fn("_+_", [string, string], string, ([a, b]) => text(a) + text(b), {
    cost: both,
    resultSize: summed,
  }),
  fn(
    "_+_",
    [bytes, bytes],
    bytes,
    ([a, b]) => Buffer.concat([instance(a, Uint8Array), instance(b, Uint8Array)]),
    { cost: both, resultSize: summed },
  ),
  fn(
    "_+_",
    [listOf(A), listOf(A)],
    listOf(A),
    ([a, b], context) => concatenate(list(a), list(b), context),
    { resultSize: summed },
  ),
];

const orders: ReadonlyArray<readonly [string, (sign: number) => boolean]> = [
  ["_<_", (sign) => sign < 0],
  ["_<=_", (sign) => sign <= 0],
  ["_>_", (sign) => sign > 0],
  ["_>=_", (sign) => sign >= 0],
];

const numbers = [int, uint, double];
const sized = new Set<Type>([string, bytes]);
const comparable: ReadonlyArray<readonly [Type, Type]> = [
  ...[bool, string, bytes, timestamp, duration].map((type) => [type, type] as const),
  ...numbers.flatMap((left) => numbers.map((right) => [left, right] as const)),
];

const comparisons = orders.flatMap(([name, holds]) =>
  comparable.map(([left, right]) =>
    fn(
      name,
      [left, right],
      bool,
      ([a = null, b = null]) => holds(compare(a, b)),
      sized.has(left) ? { cost: shorter } : {},
    ),
  ),
);

/** In as many turns as it takes. */
function isIn(items: List, wanted: Value, context: Context): boolean {
  for (let at = context.resume(); at < items.size; at++) {
    if (equal(items.at(at), wanted, context)) return true;
    context.pause(at + 1);
  }
  return false;
}

const equalities: readonly Overload[] = [
  fn("_==_", [A, A], bool, ([a = null, b = null], context) => equal(a, b, context), {
    cost: shorter,
  }),
  fn("_!=_", [A, A], bool, ([a = null, b = null], context) => !equal(a, b, context), {
    cost: shorter,
  }),
  fn("@in", [A, listOf(A)], bool, ([a = null, b], context) => isIn(list(b), a, context), {
    cost: ([, size = 0]) => size,
  }),
  fn("@in", [A, mapOf(A, B)], bool, ([a = null, b]) => map(b).get(a) !== undefined),
];

function itemAt(items: List, key: Value | undefined): Value {
  const index = key instanceof Uint ? key.value : key;
  if (typeof index === "number" && !Number.isInteger(index)) {
    throw new CelError(`unsupported index value: ${index}`);
  }
  if (typeof index !== "bigint" && typeof index !== "number") {
    throw new CelError("no such overload");
  }
  const at = Number(index);
  if (at < 0 || at >= items.size) throw new CelError(`index out of bounds: ${at}`);
  return items.at(at);
}

const shown = (key: Value): string => (key instanceof Uint ? `${key.value}` : String(key));

function entryAt(entries: CelMap, key: Value): Value {
  const value = entries.get(key);
  if (value === undefined) throw new CelError(`no such key: ${shown(key)}`);
  return value;
}

const optionalList = optionalOf(listOf(A));
const optionalMap = optionalOf(mapOf(A, B));
const get: Overload["call"] = ([a = null, b = null]) => optionalGet(a, b);

const indexes: readonly Overload[] = [
  fn("_[_]", [listOf(A), int], A, ([a, b]) => itemAt(list(a), b)),
  // A number without a type may be of any.
  fn("_[_]", [mapOf(A, B), A], B, ([a, b = null]) => entryAt(map(a), b)),
  fn("_[_]", [optionalList, int], optionalOf(A), get),
  fn("_[_]", [optionalMap, A], optionalOf(B), get),
  fn("_[?_]", [listOf(A), int], optionalOf(A), get),
  fn("_[?_]", [mapOf(A, B), A], optionalOf(B), get),
  fn("_[?_]", [optionalList, int], optionalOf(A), get),
  fn("_[?_]", [optionalMap, A], optionalOf(B), get),
];

export const operators: readonly Overload[] = [
  ...logic,
  ...ints,
  ...uints,
  ...doubles,
  ...times64,
  ...joins,
  ...comparisons,
  ...equalities,
  ...indexes,
];
