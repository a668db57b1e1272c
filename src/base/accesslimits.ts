/** Bounds of authorization; part of `limits`. */
export const accessLimits = {
  /**
   * Comparisons in one privilege escalation check. The lists of a rule multiply, so a small request
   * could cause any number of them.
   */
  ruleComparisonsMax: 2_000_000,
} as const;
