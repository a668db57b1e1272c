/**
 * Regular expressions in RE2's syntax and in linear time: one with backtracking could hold the
 * server for hours. The engine is loaded when the first expression needs it.
 */
import type { RE2JS } from "re2js";
import {
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
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

const compiled = new Map<string, RE2JS>();

let engine: typeof RE2JS | undefined;

function load(): typeof RE2JS {
  engine ??= (require("re2js") as { RE2JS: typeof RE2JS }).RE2JS;
  return engine;
}

/** @throws CelError for what is no pattern. */
export function patternOf(source: string): RE2JS {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  try {
    const pattern = load().compile(source);
    if (compiled.size >= limits.celPatternsMax) compiled.clear();
    compiled.set(source, pattern);
    return pattern;
  } catch (error) {
    throw new CelError(messageOf(error));
  }
}

const searchCost: Cost = ([letters = 0, pattern = 0]) =>
  times(Math.ceil(times(letters + 1, LETTER_COST)), Math.ceil(times(pattern, PATTERN_LETTER_COST)));

function findAll(value: string, source: string, max: number): List {
  const found: string[] = [];
  const matcher = patternOf(source).matcher(value);
  while ((max < 0 || found.length < max) && matcher.find()) found.push(matcher.group() ?? "");
  return new List(found);
}

function findFirst(value: string, source: string): string {
  const matcher = patternOf(source).matcher(value);
  return matcher.find() ? (matcher.group() ?? "") : "";
}

const search = { cost: searchCost };
const found = { cost: searchCost, resultSize: ([size = 0]: readonly number[]): number => size };

export const patterns: readonly Overload[] = [
  method(
    "matches",
    [string, string],
    bool,
    ([a, b]) => patternOf(text(b)).matcher(text(a)).find(),
    search,
  ),
  method("find", [string, string], string, ([a, b]) => findFirst(text(a), text(b)), found),
  method(
    "findAll",
    [string, string],
    listOf(string),
    ([a, b]) => findAll(text(a), text(b), -1),
    found,
  ),
  method(
    "findAll",
    [string, string, int],
    listOf(string),
    ([a, b, n]) => findAll(text(a), text(b), place(n)),
    found,
  ),
];
