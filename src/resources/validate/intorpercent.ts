/** Numbers of pods, or a share of them: `3` or `25%`. */
import { type Cause, invalid } from "#resources/field.ts";
import { notNegative } from "#resources/validate/basic.ts";
import { mustMatch } from "#resources/validate/text.ts";

export type IntOrPercent = number | string;

const PERCENT = /^[0-9]+%$/;

const NOT_A_PERCENT = mustMatch(
  "a valid percent string must be a numeric string followed by an ending '%'",
  "[0-9]+%",
  "1%",
  "93%",
);

/** The number in front of the unit; whether anything is asked for at all. */
export const amountOf = (value: IntOrPercent | undefined): number =>
  typeof value === "string" ? Number.parseInt(value, 10) || 0 : (value ?? 0);

export function checkIntOrPercent(value: IntOrPercent | undefined, path: string): Cause[] {
  if (typeof value !== "string") return notNegative(value, path);
  return PERCENT.test(value) ? [] : [invalid(path, value, NOT_A_PERCENT)];
}

export const checkAtMostAll = (value: IntOrPercent | undefined, path: string): Cause[] =>
  typeof value === "string" && PERCENT.test(value) && amountOf(value) > 100
    ? [invalid(path, value, "must not be greater than 100%")]
    : [];
