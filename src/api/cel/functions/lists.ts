/**
 * Functions on lists and sets.
 * https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-list-library
 */
import { compare, equal, includes } from "#api/cel/engine/compare.ts";
import {
  type Context,
  type Cost,
  fn,
  LETTER_COST,
  method,
  type Overload,
  times,
} from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  listOf,
  param,
  sizeOfType,
  string,
  type Type,
  timestamp,
  uint,
} from "#api/cel/engine/types.ts";
import { CelMap, Duration, List, Uint, type Value } from "#api/cel/engine/values.ts";
import {
  checkedDuration,
  checkedInt,
  checkedUint,
  integer,
  list,
  place,
} from "#api/cel/functions/arguments.ts";
import { limits } from "#base/limits.ts";

const A = param("A");

function walkCost(value: Value): number {
  if (typeof value === "string" || value instanceof Uint8Array) return value.length * LETTER_COST;
  if (value instanceof List) {
    let sum = 0;
    for (const each of value) sum += walkCost(each);
    return sum;
  }
  return value instanceof CelMap ? value.size : 1;
}

const sized = new Set(["string", "bytes"]);

/** One for each item, and the walk of its text. */
const walksItems: Cost = ([size = 0], args, types) => {
  if (args !== undefined) return Math.ceil(walkCost(args[0] ?? null));
  const item = types?.[0]?.of[0];
  if (item === undefined || !sized.has(item.kind)) return size;
  return times(size, 1 + Math.ceil(times(sizeOfType(item), LETTER_COST)));
};

const walks = { cost: walksItems };

function add(a: Value, b: Value): Value {
  if (typeof a === "bigint" && typeof b === "bigint") return checkedInt(a + b);
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (a instanceof Uint && b instanceof Uint) return checkedUint(a.value + b.value);
  if (a instanceof Duration && b instanceof Duration) return checkedDuration(a.nanos + b.nanos);
  throw new CelError("no such overload");
}

const sum =
  (nothing: Value): Overload["call"] =>
  ([given]) => {
    let total: Value | undefined;
    for (const each of list(given)) total = total === undefined ? each : add(total, each);
    return total ?? nothing;
  };

const extreme =
  (name: string, better: (order: number) => boolean): Overload["call"] =>
  ([given]) => {
    let best: Value | undefined;
    for (const each of list(given)) {
      if (best === undefined || better(compare(each, best))) best = each;
    }
    if (best === undefined) throw new CelError(`${name} called on empty list`);
    return best;
  };

const isSorted: Overload["call"] = ([given]) => {
  let before: Value | undefined;
  for (const each of list(given)) {
    if (before !== undefined && compare(before, each) > 0) return false;
    before = each;
  }
  return true;
};

function position(items: List, wanted: Value, context: Context, last: boolean): bigint {
  for (let n = 0; n < items.size; n++) {
    const at = last ? items.size - 1 - n : n;
    if (equal(items.at(at), wanted, context)) return BigInt(at);
  }
  return -1n;
}

const summable: ReadonlyArray<readonly [Type, Value]> = [
  [int, 0n],
  [uint, new Uint(0n)],
  [double, 0],
  [duration, new Duration(0n)],
];

const ordered = [int, uint, double, bool, duration, timestamp, string, bytes];

const perType: readonly Overload[] = [
  ...summable.map(([type, nothing]) => method("sum", [listOf(type)], type, sum(nothing), walks)),
  ...ordered.flatMap((type) => [
    method("isSorted", [listOf(type)], bool, isSorted, walks),
    method(
      "min",
      [listOf(type)],
      type,
      extreme("min", (order) => order < 0),
      walks,
    ),
    method(
      "max",
      [listOf(type)],
      type,
      extreme("max", (order) => order > 0),
      walks,
    ),
  ]),
];

const positions: readonly Overload[] = [
  method(
    "indexOf",
    [listOf(A), A],
    int,
    ([a, b = null], context) => position(list(a), b, context, false),
    walks,
  ),
  method(
    "lastIndexOf",
    [listOf(A), A],
    int,
    ([a, b = null], context) => position(list(a), b, context, true),
    walks,
  ),
];

function distinct(items: List, context: Context): List {
  const out: Value[] = [];
  const kept = new List(out);
  for (const each of items) if (!includes(kept, each, context)) out.push(each);
  return kept;
}

function flatten(items: List, depth: number, context: Context, out: Value[] = []): Value[] {
  context.work(items.size);
  for (const each of items) {
    if (depth > 0 && each instanceof List) flatten(each, depth - 1, context, out);
    else out.push(each);
  }
  return out;
}

function slice(items: List, start: number, end: number): List {
  if (start < 0 || end < 0) {
    throw new CelError(`cannot slice(${start}, ${end}), negative indexes not supported`);
  }
  if (start > end) {
    throw new CelError(
      `cannot slice(${start}, ${end}), start index must be less than or equal to end index`,
    );
  }
  if (items.size < end)
    throw new CelError(`cannot slice(${start}, ${end}), list is length ${items.size}`);
  return new List([...items].slice(start, end));
}

function range(count: bigint): List {
  if (count > BigInt(limits.celStepsMax))
    throw new CelError(`lists.range() size ${count} is too large`);
  return new List(Array.from({ length: Math.max(0, Number(count)) }, (_, at) => BigInt(at)));
}

const whole = { cost: ([size = 0]: readonly number[]): number => size };
const squared = { cost: ([size = 0]: readonly number[]): number => times(size, size) };
const each = listOf(A);

/** https://pkg.go.dev/github.com/google/cel-go/ext#Lists */
const reshaping: readonly Overload[] = [
  method("distinct", [each], each, ([a], context) => distinct(list(a), context), squared),
  method(
    "flatten",
    [listOf(dyn)],
    listOf(dyn),
    ([a], context) => new List(flatten(list(a), 1, context)),
    whole,
  ),
  method(
    "flatten",
    [listOf(dyn), int],
    listOf(dyn),
    ([a, depth], context) => new List(flatten(list(a), place(depth), context)),
    whole,
  ),
  method("reverse", [each], each, ([a]) => new List([...list(a)].reverse()), whole),
  method("slice", [each, int, int], each, ([a, b, c]) => slice(list(a), place(b), place(c)), whole),
  ...ordered.map((type) =>
    method(
      "sort",
      [listOf(type)],
      listOf(type),
      ([a]) => new List([...list(a)].sort(compare)),
      squared,
    ),
  ),
  fn("lists.range", [int], listOf(int), ([count]) => range(integer(count)), {
    cost: (_sizes, args) => (args === undefined ? limits.celStepsMax : Number(integer(args[0]))),
  }),
];

/** Goes on from item to item, in as many turns as it takes, to the first that is not as wanted. */
function everyItem(items: List, context: Context, wanted: (item: Value) => boolean): boolean {
  for (let at = context.resume(); at < items.size; at++) {
    if (!wanted(items.at(at))) return false;
    context.pause(at + 1);
  }
  return true;
}

const holdsAll = (all: List, some: List, context: Context): boolean =>
  everyItem(some, context, (item) => includes(all, item, context));

const holdsAny = (a: List, b: List, context: Context): boolean =>
  !everyItem(b, context, (item) => !includes(a, item, context));

/** One list behind the other, so that one place tells how far it came. */
function holdBoth(a: List, b: List, context: Context): boolean {
  const items = new List([...b, ...a]);
  let at = context.resume();
  for (; at < items.size; at++) {
    if (!includes(at < b.size ? a : b, items.at(at), context)) return false;
    context.pause(at + 1);
  }
  return true;
}

const product = { cost: ([a = 0, b = 0]: readonly number[]): number => 1 + times(a, b) };

/** https://pkg.go.dev/github.com/google/cel-go/ext#Sets */
const sets: readonly Overload[] = [
  fn("sets.contains", [each, each], bool, ([a, b], c) => holdsAll(list(a), list(b), c), product),
  fn("sets.intersects", [each, each], bool, ([a, b], c) => holdsAny(list(a), list(b), c), product),
  fn("sets.equivalent", [each, each], bool, ([a, b], c) => holdBoth(list(a), list(b), c), {
    cost: ([a = 0, b = 0]) => 1 + 2 * times(a, b),
  }),
];

export const lists: readonly Overload[] = [...perType, ...positions, ...reshaping, ...sets];
