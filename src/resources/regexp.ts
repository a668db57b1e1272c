/**
 * Regular expressions of objects, in the syntax of Go (RE2) and in linear time: an engine that
 * backtracks could hold the server for hours. The engine is loaded with the first expression.
 */
import type { RE2JS } from "re2js";
import { keepNewest } from "#base/bounded.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

export class PatternError extends Error {
  override name = "PatternError";
}

/** Escapes, and all within brackets, are no repeats though they look like some. */
const LITERALS = /\\.|\[\^?\]?(?:\\.|[^\]\\])*\]/gs;
/** A class of Unicode has hundreds of ranges. */
const UNICODE_CLASS_SIZE = 30;
const COUNTED = /\{(\d{1,9})(?:,(\d{0,9}))?\}/y;

/** At least as many as the instructions of the program, where repeats are written out. */
function sizeOf(source: string): number {
  const classes = source.match(/\\[pP]/g)?.length ?? 0;
  const bare = source.replace(LITERALS, "x");
  const outer: number[] = [];
  let size = classes * UNICODE_CLASS_SIZE;
  let atom = 0;
  for (let at = 0; at < bare.length; at++) {
    const char = bare[at];
    COUNTED.lastIndex = at;
    const counts = char === "{" ? COUNTED.exec(bare) : null;
    if (counts !== null) {
      const times = Math.max(Number(counts[1]), Number(counts[2] || 0), 1);
      size += atom * (times - 1);
      atom *= times;
      at += counts[0].length - 1;
    } else if (char === ")") {
      atom = size - (outer.pop() ?? size) + 1;
      size += 1;
    } else {
      if (char === "(") outer.push(size);
      atom = 1;
      size += 1;
    }
    if (size > limits.patternSizeMax) break;
  }
  return size;
}

const compiled = new Map<string, RE2JS>();
let engine: typeof RE2JS | undefined;

/** @throws PatternError for what is no pattern, and for one that is too large. */
export function compilePattern(source: string): RE2JS {
  const known = compiled.get(source);
  if (known !== undefined) return known;
  if (sizeOf(source) > limits.patternSizeMax) {
    throw new PatternError("error parsing regexp: expression too large");
  }
  engine ??= (require("re2js") as { RE2JS: typeof RE2JS }).RE2JS;
  try {
    const pattern = engine.compile(source);
    compiled.set(source, pattern);
    keepNewest(compiled, limits.patternsMax);
    return pattern;
  } catch (error) {
    throw new PatternError(messageOf(error));
  }
}

/** What it takes at most to look through a text once. */
export const stepsOf = (pattern: RE2JS, text: string): number =>
  pattern.programSize() * (text.length + 1);

/** What the two engines read or match differently, and what only one of them has. */
const OTHER_IN_GO =
  /\\[^dDwWnrtfv.*+?^$|()[\]{}/-]|\[[^\]]*\[|\[\^?\]|\(\?(?!:)|\{\d{4,}|,\d{4,}\}/;
/** Repeated groups, and choices, which double the ways to try. */
const MANY_WAYS = /\)[*+?{]|\|/;

/**
 * The pattern for the engine of the runtime, where both engines agree and that one takes at most
 * quadratic time: nothing but a few single characters or classes is repeated.
 */
export function quickPattern(source: string): RegExp | undefined {
  const bare = source.replace(LITERALS, "x");
  if (OTHER_IN_GO.test(source) || MANY_WAYS.test(bare)) return undefined;
  const repeats = bare.replaceAll("(?:", "(").match(/[*+?]|\{\d*,?\d*\}/g)?.length ?? 0;
  // Without an anchor each character of the text is a start to try.
  if (repeats + (bare.startsWith("^") ? 0 : 1) > 2) return undefined;
  try {
    return new RegExp(source, "u");
  } catch {
    return undefined;
  }
}
