/** Bounds of access: credentials and authorization; part of `limits`. */
export const accessLimits = {
  /**
   * Comparisons in one privilege escalation check. The lists of a rule multiply, so a small request
   * could cause any number of them.
   */
  ruleComparisonsMax: 2_000_000,
  /** All servers reject a token of the admin that was replaced within this time. */
  adminRotationMsMax: 10_000,
  adminRotationAskMs: 2_000,
} as const;
