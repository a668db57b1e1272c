/** Small checks that every validation is made of. Each returns causes; none means valid. */
import { sameValue } from "#resources/equal.ts";
import { type Cause, duplicate, invalid, notSupported, required } from "#resources/field.ts";
import { portNameErrors } from "#resources/validate/text.ts";

const PORT_MAX = 65_535;
export const INT32_MAX = 2 ** 31 - 1;

export const inclusive = (min: number, max: number): string =>
  `must be between ${min} and ${max}, inclusive`;

/** Checks every item under its own path, as `spec.ports[0]`. */
export function each<T>(
  list: readonly T[] | undefined,
  path: string,
  check: (item: T, path: string, index: number) => Cause[],
): Cause[] {
  if (!list || list.length === 0) return [];
  return list.flatMap((item, index) => check(item, `${path}[${index}]`, index));
}

/** A text by one of the rules of `text.ts`. */
export const byRule = (
  rule: (value: string) => string[],
  value: string | undefined,
  path: string,
): Cause[] => rule(value ?? "").map((error) => invalid(path, value ?? "", error));

/** A text that must be there, by a rule. */
export const requiredByRule = (
  rule: (value: string) => string[],
  value: string | undefined,
  path: string,
): Cause[] => (value ? byRule(rule, value, path) : [required(path)]);

/** Something that must be there. */
export const present = (value: string | number | undefined, path: string, detail = ""): Cause[] =>
  value ? [] : [required(path, detail)];

/** One of a few words; what is left out is left to the caller. */
export const supported = (
  value: string | undefined,
  valid: readonly string[],
  path: string,
): Cause[] =>
  value === undefined || valid.includes(value) ? [] : [notSupported(path, value, valid)];

/** One of a few words that must be there. */
export const requiredWord = (
  value: string | undefined,
  valid: readonly string[],
  path: string,
): Cause[] => (value ? supported(value, valid, path) : [required(path)]);

export const notNegative = (value: number | undefined, path: string): Cause[] =>
  value !== undefined && value < 0
    ? [invalid(path, value, "must be greater than or equal to 0")]
    : [];

export const positive = (value: number | undefined, path: string): Cause[] =>
  (value ?? 0) > 0 ? [] : [invalid(path, value ?? 0, "must be greater than zero")];

export const within = (
  value: number | undefined,
  [min, max]: readonly [number, number],
  path: string,
): Cause[] =>
  value === undefined || (value >= min && value <= max)
    ? []
    : [invalid(path, value, inclusive(min, max))];

export const port = (value: number | undefined, path: string): Cause[] =>
  within(value ?? 0, [1, PORT_MAX], path);

export const portOrName = (value: number | string | undefined, path: string): Cause[] =>
  typeof value === "string" ? byRule(portNameErrors, value, path) : port(value, path);

/** Every item's key once. */
export function unique<T>(
  list: readonly T[] | undefined,
  keyOf: (item: T) => string | undefined,
  pathOf: (index: number) => string,
): Cause[] {
  const seen = new Set<string>();
  const causes: Cause[] = [];
  for (const [index, item] of (list ?? []).entries()) {
    const key = keyOf(item);
    if (key === undefined) continue;
    if (seen.has(key)) causes.push(duplicate(pathOf(index), key));
    seen.add(key);
  }
  return causes;
}

/** What may not change once it is set. */
export const immutable = (value: unknown, old: unknown, path: string): Cause[] =>
  sameValue(value, old) ? [] : [invalid(path, value ?? null, "field is immutable")];
