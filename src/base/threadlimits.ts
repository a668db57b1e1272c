/** Bounds of the thread of DNS and Ingress, a part of all bounds (`limits.ts`). */
export const threadLimits = {
  /** Calls under way to the other side. */
  threadCallsMax: 10_000,
  /** Objects in one message: some milliseconds of copying. */
  threadObjectsMax: 500,
  /**
   * How often it is looked whether it lives, and how many looks it may leave unanswered: a machine
   * without time for it is not helped by another one, which ends all requests under way.
   */
  threadLookMs: 5_000,
  threadMissesMax: 5,
  /** Another one is started after this, later each time. */
  threadAgainMsMin: 50,
  threadAgainMsMax: 10_000,
  /** For an answer that somebody waits for, and for its end (`ingressDrainMsMax`). */
  threadAnswerMsMax: 2_000,
  threadStopMsMax: 6_000,
} as const;
