/**
 * Functions on text. Positions count code points.
 * https://pkg.go.dev/github.com/google/cel-go/ext#Strings
 */
import {
  type Context,
  fn,
  LETTER_COST,
  method,
  type Overload,
  times,
  walksText,
} from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { bool, bytes, dyn, int, listOf, mapOf, param, string } from "#api/cel/engine/types.ts";
import { List, type Value } from "#api/cel/engine/values.ts";
import { list, map, place, text } from "#api/cel/functions/arguments.ts";
import { format, quote } from "#api/cel/functions/formatting.ts";

const A = param("A");
const B = param("B");

/** Letters as one thing each; plain text needs no taking apart. */
const pointsOf = (value: string): readonly string[] => [...value];
const isPlain = (value: string): boolean => !/[\ud800-\udfff]/.test(value);

const isHigh = (unit: number): boolean => unit >= 0xd800 && unit < 0xdc00;
const isLow = (unit: number): boolean => unit >= 0xdc00 && unit < 0xe000;

function countOf(value: string): number {
  if (isPlain(value)) return value.length;
  let count = value.length;
  for (let at = 1; at < value.length; at++) {
    if (isLow(value.charCodeAt(at)) && isHigh(value.charCodeAt(at - 1))) count -= 1;
  }
  return count;
}

const outOfRange = (at: number): CelError => new CelError(`index out of range: ${at}`);

function slice(value: string, start: number, end?: number): string {
  const count = countOf(value);
  if (end !== undefined && start > end) {
    throw new CelError(`invalid substring range. start: ${start}, end: ${end}`);
  }
  if (start < 0 || start > count) throw outOfRange(start);
  if (end !== undefined && (end < 0 || end > count)) throw outOfRange(end);
  return isPlain(value) ? value.slice(start, end) : pointsOf(value).slice(start, end).join("");
}

/** From a position in UTF-16 units to one in code points. */
const toPoints = (value: string, at: number): number =>
  at <= 0 || isPlain(value) ? at : countOf(value.slice(0, at));

const toUnits = (value: string, at: number): number =>
  isPlain(value) ? at : pointsOf(value).slice(0, at).join("").length;

function indexOf(value: string, part: string, from: number): bigint {
  if (part === "") return BigInt(from);
  if (from < 0) throw outOfRange(from);
  if (from >= countOf(value)) return -1n;
  return BigInt(toPoints(value, value.indexOf(part, toUnits(value, from))));
}

function lastIndexOf(value: string, part: string, from: number): bigint {
  if (part === "") return BigInt(from);
  if (from < 0) throw outOfRange(from);
  if (from >= countOf(value)) return -1n;
  return BigInt(toPoints(value, value.lastIndexOf(part, toUnits(value, from))));
}

function charAt(value: string, at: number): string {
  if (at < 0 || at > countOf(value)) throw outOfRange(at);
  if (isPlain(value)) return value.charAt(at);
  let left = at;
  for (const point of value) if (left-- === 0) return point;
  return "";
}

function replace(value: string, old: string, next: string, count: number): string {
  if (count < 0) return value.replaceAll(old, () => next);
  let left = count;
  return value.replaceAll(old, () => {
    left -= 1;
    return left >= 0 ? next : old;
  });
}

/** As Go's strings.SplitN: the last piece holds the rest. */
function split(value: string, separator: string, count: number): List {
  if (count === 0) return new List([]);
  const pieces = separator === "" ? pointsOf(value) : value.split(separator);
  if (count < 0 || pieces.length <= count) return new List([...pieces]);
  return new List([...pieces.slice(0, count - 1), pieces.slice(count - 1).join(separator)]);
}

function join(items: List, separator: string): string {
  const out: string[] = [];
  for (const item of items) {
    if (typeof item !== "string") throw new CelError(`join: invalid input: ${String(item)}`);
    out.push(item);
  }
  return out.join(separator);
}

function formatted([pattern, args]: readonly Value[], context: Context): Value {
  return format(text(pattern), [...list(args)], context);
}

const lower = (value: string): string => value.replace(/[A-Z]+/g, (part) => part.toLowerCase());
const upper = (value: string): string => value.replace(/[a-z]+/g, (part) => part.toUpperCase());

const same = { resultSize: ([size = 0]: readonly number[]): number => size };
const walks = { cost: walksText(), ...same };
const pieces = { cost: walksText(2), ...same };
const joined = {
  // The size of the result is not known before: all its items are walked.
  cost: (sizes: readonly number[], args: readonly Value[] | undefined): number => {
    const [count = 0, separator = 0] = sizes;
    if (args === undefined) return Math.ceil(times(count, separator + 1) * LETTER_COST);
    let letters = count * (args[1] === undefined ? 0 : separator);
    for (const item of list(args[0])) letters += typeof item === "string" ? item.length : 1;
    return Math.ceil(letters * 2 * LETTER_COST);
  },
};
const replaced = {
  cost: walksText(2),
  resultSize: ([size = 0, old = 0, next = 0]: readonly number[]): number =>
    old === 0 ? times(size + 1, next) + size : Math.max(size, times(size, next)),
};

const searches: readonly Overload[] = [
  method("contains", [string, string], bool, ([a, b]) => text(a).includes(text(b)), {
    cost: ([a = 0, b = 0]) =>
      times(Math.ceil(times(a, LETTER_COST)), Math.ceil(times(b, LETTER_COST))),
  }),
  method("startsWith", [string, string], bool, ([a, b]) => text(a).startsWith(text(b)), {
    cost: ([, b = 0]) => Math.ceil(times(b, LETTER_COST)),
  }),
  method("endsWith", [string, string], bool, ([a, b]) => text(a).endsWith(text(b)), {
    cost: ([, b = 0]) => Math.ceil(times(b, LETTER_COST)),
  }),
  method("indexOf", [string, string], int, ([a, b]) => indexOf(text(a), text(b), 0), walks),
  method(
    "indexOf",
    [string, string, int],
    int,
    ([a, b, from]) => indexOf(text(a), text(b), place(from)),
    walks,
  ),
  method(
    "lastIndexOf",
    [string, string],
    int,
    ([a, b]) => {
      const count = countOf(text(a));
      if (text(b) === "") return BigInt(count);
      return count === 0 ? -1n : lastIndexOf(text(a), text(b), count - 1);
    },
    walks,
  ),
  method(
    "lastIndexOf",
    [string, string, int],
    int,
    ([a, b, from]) => lastIndexOf(text(a), text(b), place(from)),
    walks,
  ),
];

const changes: readonly Overload[] = [
  method("charAt", [string, int], string, ([a, at]) => charAt(text(a), place(at)), {
    resultSize: () => 1,
  }),
  method("lowerAscii", [string], string, ([a]) => lower(text(a)), walks),
  method("upperAscii", [string], string, ([a]) => upper(text(a)), walks),
  method("trim", [string], string, ([a]) => text(a).trim(), walks),
  method("reverse", [string], string, ([a]) => [...text(a)].reverse().join(""), walks),
  method("substring", [string, int], string, ([a, from]) => slice(text(a), place(from)), walks),
  method(
    "substring",
    [string, int, int],
    string,
    ([a, from, to]) => slice(text(a), place(from), place(to)),
    walks,
  ),
  method(
    "replace",
    [string, string, string],
    string,
    ([a, b, c]) => replace(text(a), text(b), text(c), -1),
    replaced,
  ),
  method(
    "replace",
    [string, string, string, int],
    string,
    ([a, b, c, n]) => replace(text(a), text(b), text(c), place(n)),
    replaced,
  ),
  method(
    "split",
    [string, string],
    listOf(string),
    ([a, b]) => split(text(a), text(b), -1),
    pieces,
  ),
  method(
    "split",
    [string, string, int],
    listOf(string),
    ([a, b, n]) => split(text(a), text(b), place(n)),
    pieces,
  ),
  method("join", [listOf(string)], string, ([a]) => join(list(a), ""), joined),
  method("join", [listOf(string), string], string, ([a, b]) => join(list(a), text(b)), joined),
  method("format", [string, listOf(dyn)], string, (args, context) => formatted(args, context), {
    cost: walksText(),
  }),
  fn("strings.quote", [string], string, ([a]) => quote(text(a)), {
    cost: walksText(),
    resultSize: ([size = 0]) => 2 * size + 2,
  }),
];

const size = (value: Value | undefined): bigint => {
  if (typeof value === "string") return BigInt(countOf(value));
  if (value instanceof List) return BigInt(value.size);
  if (value instanceof Uint8Array) return BigInt(value.length);
  return BigInt(map(value).size);
};

const sizes: readonly Overload[] = [string, bytes, listOf(A), mapOf(A, B)].flatMap((type) => [
  fn("size", [type], int, ([a]) => size(a)),
  method("size", [type], int, ([a]) => size(a)),
]);

export const strings: readonly Overload[] = [...searches, ...changes, ...sizes];
