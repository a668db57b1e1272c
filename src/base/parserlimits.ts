/** Bounds of parsers and of patterns that come from objects. */
export const parserLimits = {
  /** Characters of a text times instructions of its pattern, for one object: at most 0.4 s. */
  patternStepsMax: 10_000_000,
  /** Instructions of a compiled pattern; Go allows more, and takes seconds for them. */
  patternSizeMax: 20_000,
  /** Compiled patterns that are kept. */
  patternsMax: 500,
  /** Longer texts are matched by the engine for patterns that takes linear time always. */
  patternQuickCharsMax: 250,
} as const;
