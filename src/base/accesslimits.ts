/** Bounds of authorization; part of `limits`. */
export const accessLimits = {
  /**
   * Comparisons by which it is found out whether a user holds the rules of a role. Four lists in a
   * rule multiply: a request of a few kilobytes could ask for any number.
   */
  ruleComparisonsMax: 2_000_000,
} as const;
