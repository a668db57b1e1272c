/** Patterns of custom resources, within a limit for the whole object. */
import { keepNewest } from "#base/bounded.ts";
import { limits } from "#base/limits.ts";
import { compilePattern, PatternError, quickPattern, stepsOf } from "#resources/regexp.ts";

/** What the patterns of one object have taken. */
export interface PatternWork {
  steps: number;
}

/** `costly`: more would be taken than an object may take. */
export type Fit = "fits" | "differs" | "costly";

const quick = new Map<string, RegExp | undefined>();
/** What the two engines take for the end of a line is not the same. */
const LINES = /[\r\u2028\u2029]/;

function quickOf(pattern: string): RegExp | undefined {
  if (quick.has(pattern)) return quick.get(pattern);
  const made = quickPattern(pattern);
  quick.set(pattern, made);
  keepNewest(quick, limits.patternsMax);
  return made;
}

const fitOf = (fits: boolean): Fit => (fits ? "fits" : "differs");

export function fitsPattern(pattern: string, text: string, work: PatternWork): Fit {
  const short = text.length <= limits.patternQuickCharsMax && !LINES.test(text);
  const simple = short ? quickOf(pattern) : undefined;
  if (simple !== undefined) return fitOf(simple.test(text));
  try {
    const compiled = compilePattern(pattern);
    work.steps += stepsOf(compiled, text);
    return work.steps > limits.patternStepsMax ? "costly" : fitOf(compiled.matcher(text).find());
  } catch (error) {
    if (!(error instanceof PatternError)) throw error;
    // What was no pattern was refused when the definition was written; older ones are left alone.
    return "fits";
  }
}
