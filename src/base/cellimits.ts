/** Bounds of CEL expressions; part of `limits.ts`, which is what others read. */
export const celLimits = {
  /** CEL expressions: their size, and their steps as estimated (upstream's budgets) and as run. */
  celNodesMax: 20_000,
  celProgramsMax: 1_000,
  celDepthMax: 200,
  celStaticCostMax: 10_000_000,
  celRunCostMax: 1_000_000,
  /**
   * Of all rules of one object, of the match conditions of one policy, of all rules of one
   * definition.
   */
  celBudgetMax: 10_000_000,
  celMatchBudgetMax: 2_500_000,
  celSchemaCostMax: 100_000_000,
  /** Values compared in one evaluation: what is inside of lists and maps has no cost of its own. */
  celStepsMax: 5_000_000,
  /** Others have their turn after so many steps (2 to 15 ms). */
  celStepsPerTurn: 50_000,
  /** What took this share of a turn is kept for the next one. */
  celKeptShare: 0.04,
  /** Letters that are looked at in one step. */
  celLettersPerStep: 64,
  /** Kinds that a policy's expressions are checked against, as upstream; tried again after this. */
  policyTypesMax: 10,
  policyCheckAgainMs: 5_000,
  celExpressionCharsMax: 100_000,
  /** Characters times instructions of a pattern that count as one step of work. */
  celPatternStepsPerStep: 4,
  celChainMax: 1_000,
  celMessageCharsMax: 5 * 1024,
} as const;
