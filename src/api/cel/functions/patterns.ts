/** Functions of regular expressions. What a search takes is counted as work. */
import type { Matcher, RE2JS } from "re2js";
import {
  type Context,
  type Cost,
  LETTER_COST,
  method,
  type Overload,
  PATTERN_LETTER_COST,
  times,
} from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { bool, int, listOf, string } from "#api/cel/engine/types.ts";
import { List } from "#api/cel/engine/values.ts";
import { place, text } from "#api/cel/functions/arguments.ts";
import { limits } from "#base/limits.ts";
import { compilePattern, PatternError, stepsOf } from "#resources/regexp.ts";

/** @throws CelError for what is no pattern. */
export function patternOf(source: string): RE2JS {
  try {
    return compilePattern(source);
  } catch (error) {
    if (error instanceof PatternError) throw new CelError(error.message);
    throw error;
  }
}

/** A matcher whose work is counted. @throws CelError, CostError. */
function matcherOf(value: string, source: string, context: Context): Matcher {
  const pattern = patternOf(source);
  context.work(Math.ceil(stepsOf(pattern, value) / limits.celPatternStepsPerStep));
  return pattern.matcher(value);
}

const searchCost: Cost = ([letters = 0, pattern = 0]) =>
  times(Math.ceil(times(letters + 1, LETTER_COST)), Math.ceil(times(pattern, PATTERN_LETTER_COST)));

/** Each search may look through the rest of the text, also where it finds little. */
function findAll(value: string, source: string, max: number, context: Context): List {
  const found: string[] = [];
  if (max === 0) return new List(found);
  const matcher = matcherOf(value, source, context);
  const size = matcher.programSize();
  while (matcher.find()) {
    found.push(matcher.group() ?? "");
    if (found.length === max) break;
    const rest = size * (value.length - matcher.end());
    context.work(Math.ceil(rest / limits.celPatternStepsPerStep));
  }
  return new List(found);
}

function findFirst(value: string, source: string, context: Context): string {
  const matcher = matcherOf(value, source, context);
  return matcher.find() ? (matcher.group() ?? "") : "";
}

const search = { cost: searchCost };
const found = { cost: searchCost, resultSize: ([size = 0]: readonly number[]): number => size };

export const patterns: readonly Overload[] = [
  method(
    "matches",
    [string, string],
    bool,
    ([a, b], context) => matcherOf(text(a), text(b), context).find(),
    search,
  ),
  method(
    "find",
    [string, string],
    string,
    ([a, b], context) => findFirst(text(a), text(b), context),
    found,
  ),
  method(
    "findAll",
    [string, string],
    listOf(string),
    ([a, b], context) => findAll(text(a), text(b), -1, context),
    found,
  ),
  method(
    "findAll",
    [string, string, int],
    listOf(string),
    ([a, b, n], context) => findAll(text(a), text(b), place(n), context),
    found,
  ),
];
