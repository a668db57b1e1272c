/** From one type to another: `int("5")`, `string(x)`, `type(x)`, `dyn(x)`. */
import { fn, type Overload, walksText } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import {
  bool,
  bytes,
  double,
  duration,
  dyn,
  int,
  param,
  string,
  timestamp,
  typeOf,
  uint,
} from "#api/cel/engine/types.ts";
import { typeOfValue } from "#api/cel/engine/typing.ts";
import { Duration, Timestamp, TypeValue, Uint, type Value } from "#api/cel/engine/values.ts";
import { checkedInt, checkedUint, instance, integer, text } from "#api/cel/functions/arguments.ts";
import { showDuration, showTime } from "#api/cel/functions/clockwords.ts";
import { showDouble } from "#api/cel/functions/formatting.ts";

const A = param("A");

const failed = (from: string, to: string): CelError =>
  new CelError(`type conversion error from '${from}' to '${to}'`);

const number = (value: Value | undefined): number => Number(value);

function truncated(value: number, name: string): bigint {
  if (!Number.isFinite(value)) throw new CelError(`${name} overflow`);
  return BigInt(Math.trunc(value));
}

/** More digits than 64 bits have. */
const DIGITS_READ_MAX = 30;

function parseWhole(value: string, to: string): bigint {
  if (!/^[+-]?\d+$/.test(value)) {
    throw new CelError(`strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  if (to === "uint" && value.startsWith("-")) throw failed("string", to);
  const whole = value.replace(/^([+-]?)0+(?=\d)/, "$1").replace("+", "");
  // To read all digits takes longer than there are: what is too large is so with fewer, too.
  return BigInt(whole.slice(0, DIGITS_READ_MAX));
}

function parseDouble(value: string): number {
  if (/^[+-]?(inf|infinity)$/i.test(value)) {
    return value.startsWith("-") ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  }
  if (/^nan$/i.test(value)) return Number.NaN;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value)) {
    throw new CelError(`strconv.ParseFloat: parsing ${JSON.stringify(value)}: invalid syntax`);
  }
  return Number(value);
}

const TRUE = new Set(["1", "t", "T", "TRUE", "true", "True"]);
const FALSE = new Set(["0", "f", "F", "FALSE", "false", "False"]);

function parseBool(value: string): boolean {
  if (TRUE.has(value)) return true;
  if (FALSE.has(value)) return false;
  throw failed("string", "bool");
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

function decode(value: Uint8Array): string {
  try {
    return utf8.decode(value);
  } catch {
    throw new CelError("invalid UTF-8 in bytes, cannot convert to string");
  }
}

const same: Overload["call"] = ([a = null]) => a;

const toNumbers: readonly Overload[] = [
  fn("int", [int], int, same),
  fn("int", [uint], int, ([a]) => checkedInt(instance(a, Uint).value)),
  fn("int", [double], int, ([a]) => checkedInt(truncated(number(a), "integer"))),
  fn("int", [string], int, ([a]) => checkedInt(parseWhole(text(a), "int"))),
  fn("int", [timestamp], int, ([a]) => instance(a, Timestamp).nanos / 1_000_000_000n),
  fn("int", [duration], int, ([a]) => instance(a, Duration).nanos),
  fn("uint", [uint], uint, same),
  fn("uint", [int], uint, ([a]) => checkedUint(integer(a))),
  fn("uint", [double], uint, ([a]) => checkedUint(truncated(number(a), "unsigned integer"))),
  fn("uint", [string], uint, ([a]) => checkedUint(parseWhole(text(a), "uint"))),
  fn("double", [double], double, same),
  fn("double", [int], double, ([a]) => Number(integer(a))),
  fn("double", [uint], double, ([a]) => Number(instance(a, Uint).value)),
  fn("double", [string], double, ([a]) => parseDouble(text(a))),
];

/** Letters of the longest number, time or the like. */
const SHORT = { resultSize: (): number => 40 };

const toTexts: readonly Overload[] = [
  fn("string", [string], string, same, { resultSize: ([size = 0]) => size }),
  fn("string", [int], string, ([a]) => String(integer(a)), SHORT),
  fn("string", [uint], string, ([a]) => String(instance(a, Uint).value), SHORT),
  fn("string", [double], string, ([a]) => showDouble(number(a)), SHORT),
  fn("string", [bool], string, ([a]) => String(a), SHORT),
  fn("string", [timestamp], string, ([a]) => showTime(instance(a, Timestamp)), SHORT),
  fn("string", [duration], string, ([a]) => showDuration(instance(a, Duration)), SHORT),
  fn("string", [bytes], string, ([a]) => decode(instance(a, Uint8Array)), {
    cost: walksText(),
    resultSize: ([size = 0]) => size,
  }),
  fn("bytes", [bytes], bytes, same),
  fn("bytes", [string], bytes, ([a]) => Uint8Array.from(Buffer.from(text(a))), {
    cost: walksText(),
    resultSize: ([size = 0]) => 4 * size,
  }),
];

export const conversions: readonly Overload[] = [
  ...toNumbers,
  ...toTexts,
  fn("bool", [bool], bool, same),
  fn("bool", [string], bool, ([a]) => parseBool(text(a))),
  fn("type", [A], typeOf(A), ([a = null]) => new TypeValue(typeOfValue(a))),
  fn("dyn", [A], dyn, same, { resultSize: ([size = 0]) => size }),
];
