/**
 * Quantities of resources (`500m`, `1Gi`, `12e6`) as Kubernetes reads and writes them: exact, with
 * nano as the smallest unit, and the canonical text of Go's resource.Quantity.
 * https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 */
import { limits } from "#base/limits.ts";

type Format = "decimal" | "binary" | "exponent";

export interface Quantity {
  /** Amount in 10^-9 units. Smaller amounts were rounded away from zero. */
  readonly nano: bigint;
  readonly format: Format;
  /** The text as given, where Kubernetes keeps it instead of making it canonical. */
  readonly text?: string;
}

const PATTERN = /^([+-]?)([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*)([-+]?[0-9]*)$/;
const FORMAT_ERROR =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const SUFFIX_ERROR = "unable to parse quantity's suffix";

const DECIMAL: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  "": 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY: Readonly<Record<string, number>> = { Ki: 1, Mi: 2, Gi: 3, Ti: 4, Pi: 5, Ei: 6 };
const DECIMAL_SUFFIX = new Map(Object.entries(DECIMAL).map(([suffix, e]) => [e, suffix]));
const BINARY_SUFFIX = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

const NANO = 1_000_000_000n;
const INT64_MAX = 2n ** 63n - 1n;
/** Digits that fit an int64 with certainty: up to here Kubernetes keeps a tidy text as it is. */
const FAST_DIGITS = 18;

interface Suffix {
  format: Format;
  exponent: number;
}

function suffixOf(letters: string, digits: string): Suffix {
  if (digits === "") {
    const decimal = DECIMAL[letters];
    if (decimal !== undefined) return { format: "decimal", exponent: decimal };
    const binary = BINARY[letters];
    if (binary !== undefined) return { format: "binary", exponent: binary };
  } else if ((letters === "e" || letters === "E") && /\d/.test(digits)) {
    const exponent = Number(digits);
    if (Math.abs(exponent) <= limits.quantityExponentMax) return { format: "exponent", exponent };
  }
  throw new Error(SUFFIX_ERROR);
}

/** Whether Kubernetes gives back this text unchanged, canonical or nearly so. */
function keptAsIs(whole: string, fraction: string, suffix: Suffix): boolean {
  if (suffix.format === "binary") {
    const room = 15 - whole.length - suffix.exponent * 3 - 1;
    return fraction === "" && room >= 0 && Number(whole) % 8 !== 0;
  }
  const digits = whole + fraction;
  const scale = suffix.exponent - fraction.length;
  if (digits.length > FAST_DIGITS || scale < -9 || scale % 3 !== 0) return false;
  return !digits.endsWith("000") && !digits.startsWith("0");
}

function roundAway(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  if (value % divisor === 0n) return quotient;
  return value < 0n ? quotient - 1n : quotient + 1n;
}

/** Throws Error in the words of Kubernetes where the text is no quantity. */
export function parseQuantity(text: string): Quantity {
  const match = text === "" ? null : PATTERN.exec(text);
  if (match === null) throw new Error(FORMAT_ERROR);
  const [, sign = "", digits = "", fraction = "", letters = "", exponentDigits = ""] = match;
  const whole = digits.replace(/^0+/, "") || "0";
  const suffix = suffixOf(letters, exponentDigits);
  let nano = BigInt(whole + fraction);
  let scale = 9 - fraction.length;
  if (suffix.format === "binary") nano *= 1024n ** BigInt(suffix.exponent);
  else scale += suffix.exponent;
  nano = scale >= 0 ? nano * 10n ** BigInt(scale) : roundAway(nano, 10n ** BigInt(-scale));
  let format = suffix.format;
  if (format === "binary") {
    if (nano > INT64_MAX * NANO) nano = INT64_MAX * NANO;
    if (nano > 0n && nano < NANO) format = "decimal";
  }
  if (sign === "-") nano = -nano;
  return keptAsIs(whole, fraction, suffix) ? { nano, format, text } : { nano, format };
}

const PLAIN = /^(\d{1,12})(m|k|M|G|Ki|Mi|Gi|Ti)?$/;
/** Thousandths of the suffixes that nearly all quantities have. */
const PLAIN_MILLI: Readonly<Record<string, number>> = {
  m: 1,
  k: 1e6,
  M: 1e9,
  G: 1e12,
  Ki: 1024e3,
  Mi: 1024 ** 2 * 1e3,
  Gi: 1024 ** 3 * 1e3,
  Ti: 1024 ** 4 * 1e3,
};

/** Of the few quantities that a cluster uses again and again. */
const known = new Map<string, number>();

/** Thousandths of a plain quantity; undefined where only exact arithmetic is safe. */
function plainMilli(quantity: string | number): number | undefined {
  const text = String(quantity);
  const before = known.get(text);
  if (before !== undefined) return before;
  const match = PLAIN.exec(text);
  if (match === null) return undefined;
  const milli = Number(match[1]) * (match[2] === undefined ? 1000 : (PLAIN_MILLI[match[2]] ?? 0));
  if (!Number.isSafeInteger(milli)) return undefined;
  if (known.size >= limits.quantityCacheMax) known.clear();
  known.set(text, milli);
  return milli;
}

const nanoOf = (quantity: string | number): bigint => parseQuantity(String(quantity)).nano;

/**
 * In base units (cores, bytes), with fractions; inexact past 2^53. Throws where it is no quantity.
 */
export function quantityValue(quantity: string | number): number {
  const milli = plainMilli(quantity);
  return milli === undefined ? Number(nanoOf(quantity)) / 1e9 : milli / 1000;
}

/** In thousandths of the base unit, rounded up. Throws where it is no quantity. */
export function milliValue(quantity: string | number): number {
  return plainMilli(quantity) ?? Number(roundAway(nanoOf(quantity), 1_000_000n));
}

/** A plain amount in 10^-9 units, whole: sums of these are exact. */
export function toNano(amount: number): bigint {
  const whole = Math.trunc(amount);
  return BigInt(whole) * NANO + BigInt(Math.round((amount - whole) * 1e9));
}

export const fromNano = (nano: bigint): number => Number(nano / NANO) + Number(nano % NANO) / 1e9;

/** Negative, zero or positive as `a` is smaller than, equal to or larger than `b`; exact. */
export function compareQuantity(a: string | number, b: string | number): number {
  const [plainA, plainB] = [plainMilli(a), plainMilli(b)];
  if (plainA !== undefined && plainB !== undefined) return plainA - plainB;
  const difference = nanoOf(a) - nanoOf(b);
  return difference < 0n ? -1 : difference > 0n ? 1 : 0;
}

/** The text that Kubernetes answers for this quantity: largest suffix without a fraction. */
export function canonicalQuantity(quantity: string | number): string {
  return formatQuantity(parseQuantity(String(quantity)));
}

/**
 * `a` plus `b` (or minus, with `sign` -1) in canonical form; the format is that of `a`, unless it
 * is 0.
 */
export function addQuantity(a: string | number, b: string | number, sign: 1 | -1 = 1): string {
  const left = parseQuantity(String(a));
  const right = parseQuantity(String(b));
  const format = left.nano === 0n ? right.format : left.format;
  return formatQuantity({ nano: left.nano + BigInt(sign) * right.nano, format });
}

function formatQuantity(quantity: Quantity): string {
  const { nano, format, text } = quantity;
  if (text !== undefined) return text;
  if (nano === 0n) return "0";
  const size = nano < 0n ? -nano : nano;
  if (format === "binary" && size >= 1024n * NANO && nano % NANO === 0n) {
    return binaryText(nano / NANO);
  }
  return decimalText(nano, format === "exponent");
}

function binaryText(value: bigint): string {
  let step = 0;
  let rest = value;
  while (step < 6 && rest % 1024n === 0n) {
    rest /= 1024n;
    step += 1;
  }
  return `${rest}${BINARY_SUFFIX[step]}`;
}

function decimalText(nano: bigint, asExponent: boolean): string {
  let exponent = -9;
  let rest = nano;
  // Past E there is no suffix: Kubernetes loses the exponent there, we keep the amount.
  while (rest % 1000n === 0n && (asExponent || exponent < 18)) {
    rest /= 1000n;
    exponent += 3;
  }
  if (!asExponent) return `${rest}${DECIMAL_SUFFIX.get(exponent)}`;
  return exponent === 0 ? `${rest}` : `${rest}e${exponent}`;
}
