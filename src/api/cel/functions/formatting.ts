/** `format` and `quote` of text. https://pkg.go.dev/github.com/google/cel-go/ext#Strings */

import { typeName } from "#api/cel/engine/compiler.ts";
import type { Context } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
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
import { showDuration, showTime } from "#api/cel/functions/clockwords.ts";
import { limits } from "#base/limits.ts";

const QUOTED: Readonly<Record<string, string>> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the letters that are escaped.
const TO_QUOTE = /[\x07\b\f\n\r\t\v\\"]/g;

export const quote = (value: string): string =>
  `"${value.replace(TO_QUOTE, (char) => QUOTED[char] ?? char)}"`;

/** Doubles as Go writes them. */
export function showDouble(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e21)) {
    return value.toExponential().replace(/e([+-])(\d)$/, "e$10$2");
  }
  return String(value);
}

function showNumber(value: number): string {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value > 0 ? "Infinity" : "-Infinity";
}

/** `%s` of anything. */
export function show(value: Value, context: Context): string {
  const letters = typeof value === "string" ? value.length : 0;
  context.work(1 + Math.floor(letters / limits.celLettersPerStep));
  if (value === null) return "null";
  if (typeof value === "number") return showNumber(value);
  if (typeof value !== "object") return String(value);
  if (value instanceof Uint) return String(value.value);
  if (value instanceof Uint8Array) return Buffer.from(value).toString();
  if (value instanceof Timestamp) return showTime(value);
  if (value instanceof Duration) return showDuration(value);
  if (value instanceof TypeValue) return value.type.name;
  if (value instanceof List) return `[${[...value].map((each) => show(each, context)).join(", ")}]`;
  if (value instanceof CelMap) return showMap(value, context);
  if (value instanceof Optional) {
    return value.value === undefined
      ? "optional.none()"
      : `optional(${show(value.value, context)})`;
  }
  return value instanceof Extension ? value.type.name : "";
}

function showMap(value: CelMap, context: Context): string {
  const text = (each: Value | undefined): string => show(each ?? null, context);
  const pairs = [...value.keys()].map((key) => [text(key), text(value.get(key))] as const);
  pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${pairs.map(([key, each]) => `${key}: ${each}`).join(", ")}}`;
}

const unfit = (verb: string, allowed: string, value: Value): CelError =>
  new CelError(
    `error during formatting: ${verb} clause can only be used on ${allowed}, was given ` +
      typeName(value),
  );

const wholeOf = (value: Value): bigint | undefined => {
  if (typeof value === "bigint") return value;
  return value instanceof Uint ? value.value : undefined;
};

function decimal(value: Value): string {
  const whole = wholeOf(value);
  if (whole !== undefined) return String(whole);
  if (typeof value === "number") return showNumber(value);
  throw unfit("decimal", "integers and floats", value);
}

function inBase(value: Value, base: 2 | 8): string {
  if (base === 2 && typeof value === "boolean") return value ? "1" : "0";
  const whole = wholeOf(value);
  if (whole !== undefined) return whole.toString(base);
  const what = base === 2 ? "integers and bools" : "integers";
  throw unfit(base === 2 ? "binary" : "octal", what, value);
}

function hexadecimal(value: Value): string {
  const whole = wholeOf(value);
  if (whole !== undefined) return whole.toString(16);
  if (typeof value === "string") return Buffer.from(value).toString("hex");
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  throw unfit("hex", "integers, byte buffers, and strings", value);
}

const PRECISION_MAX = 100;

function fixed(value: Value, digits: number, exponent: boolean): string {
  const number = typeof value === "number" ? value : Number(wholeOf(value) ?? Number.NaN);
  if (typeof value !== "number" && wholeOf(value) === undefined) {
    throw unfit(exponent ? "scientific" : "fixed-point", "doubles, integers", value);
  }
  if (!Number.isFinite(number)) return showNumber(number);
  if (digits > PRECISION_MAX) throw new CelError(`precision limit exceeded: ${digits}`);
  if (!exponent) return number.toFixed(digits);
  return number.toExponential(digits).replace(/e([+-])(\d)$/, "e$10$2");
}

function clause(verb: string, digits: number, value: Value, context: Context): string {
  switch (verb) {
    case "s":
      return show(value, context);
    case "d":
      return decimal(value);
    case "f":
      return fixed(value, digits, false);
    case "e":
      return fixed(value, digits, true);
    case "b":
      return inBase(value, 2);
    case "o":
      return inBase(value, 8);
    case "x":
      return hexadecimal(value);
    default:
      return hexadecimal(value).toUpperCase();
  }
}

const DIGITS_DEFAULT = 6;

/** `%s`, `%d`, `%.2f`, `%e`, `%b`, `%o`, `%x`, `%X`, `%%`. @throws CelError. */
export function format(pattern: string, args: readonly Value[], context: Context): string {
  let next = 0;
  return pattern.replace(/%(?:(%)|(?:\.(\d+))?(.)?)/gsu, (all, percent, digits, verb) => {
    if (percent !== undefined) return "%";
    if (verb === undefined) throw new CelError("unexpected end of string");
    if (!/[sdfeboxX]/.test(verb)) throw new CelError(`unrecognized formatting clause "${verb}"`);
    const value = args[next++];
    if (value === undefined) throw new CelError(`index ${next - 1} out of range`);
    if (all.length > PRECISION_MAX) throw new CelError("precision limit exceeded");
    return clause(verb, digits === undefined ? DIGITS_DEFAULT : Number(digits), value, context);
  });
}
