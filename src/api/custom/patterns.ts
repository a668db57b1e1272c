/**
 * Patterns of custom resources, in Go's syntax and in time that grows with the text alone: an
 * engine that tries one way after another could hold the server for hours over `^(a+)+$`. It is
 * quicker where there are few ways, as for most patterns.
 */
import { patternOf } from "#api/cel/functions/patterns.ts";
import { keepNewest } from "#base/bounded.ts";

type Fits = (text: string) => boolean;

const tests = new Map<string, Fits>();
const PATTERNS_MAX = 2_000;
/** What may be repeated without end in a pattern that is tried in all ways, and how long a text. */
const REPEATS_MAX = 2;
/** Each doubles the ways. */
const OPTIONALS_MAX = 6;
const TEXT_CHARACTERS_MAX = 500;
/** What the two engines take for white space, or for the end of a line, is not the same. */
const OTHER_IN_GO = /\\[sSbB]/;
const LINES = /[\r\u2028\u2029]/;

/** What is no repeat though it looks like one: escapes, and all within brackets. */
const LITERALS = /\\.|\[\^?\]?(?:\\.|[^\]\\])*\]/gs;

/** Whether there are few ways to try: no group is repeated, and little else. */
function hasFewWays(pattern: string): boolean {
  const bare = pattern.replace(LITERALS, "x");
  if (/\)[*+{]/.test(bare) || OTHER_IN_GO.test(pattern)) return false;
  const repeats = bare.match(/[*+]|\{\d*,?\d*\}/g) ?? [];
  const optionals = bare.replaceAll("(?", "(").match(/\?/g) ?? [];
  return repeats.length <= REPEATS_MAX && optionals.length <= OPTIONALS_MAX;
}

function compiled(pattern: string): Fits {
  const flags = /^\(\?([imsU]+)\)/.exec(pattern);
  const letters = (flags?.[1] ?? "").replace("U", "");
  const rest = flags === null ? pattern : pattern.slice(flags[0].length);
  let quick: RegExp | undefined;
  try {
    if (hasFewWays(rest)) quick = new RegExp(rest, `${letters}u`);
  } catch {
    // In Go's own syntax: read by the other engine.
  }
  return (text) => {
    const short = text.length <= TEXT_CHARACTERS_MAX && !LINES.test(text);
    if (quick !== undefined && short) return quick.test(text);
    try {
      return patternOf(pattern).matcher(text).find();
    } catch {
      // What was no pattern was refused when the definition was written; older ones are left alone.
      return true;
    }
  };
}

export function fitsPattern(pattern: string, text: string): boolean {
  let test = tests.get(pattern);
  if (test === undefined) {
    test = compiled(pattern);
    tests.set(pattern, test);
    keepNewest(tests, PATTERNS_MAX);
  }
  return test(text);
}
