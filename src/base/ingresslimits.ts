/** Bounds of the Ingress, a part of all bounds (`limits.ts`). */
export const ingressLimits = {
  /** Ingress: the head of a request or an answer, and its target. */
  ingressHeadBytesMax: 32 * 1024,
  ingressTargetBytesMax: 8 * 1024,
  ingressConnectionsMax: 8_192,
  /** Requests that begin in one turn of the event loop. */
  ingressBegunMax: 128,
  /**
   * For a head that has begun, between requests, for an endpoint to connect and to answer. A first
   * packet that was lost is sent again after 1 s: another endpoint, or a new one, is sooner.
   */
  ingressHeadMsMax: 15_000,
  ingressIdleMsMax: 75_000,
  ingressConnectMsMax: 500,
  /** Where all took too long they are asked again and waited for twice as long, until then. */
  ingressReachMsMax: 10_000,
  /** A stall of the event loop is no silence of the endpoint: packets are looked at first. */
  ingressStallMs: 50,
  ingressAnswerMsMax: 5 * 60_000,
  /**
   * Without an answer for so long an endpoint's machine is asked for a sign of life; how long for,
   * and how long it counts. A first packet that was lost is sent again once in between.
   */
  ingressDoubtMs: 1_000,
  ingressLookMs: 3_000,
  /** One request: connections tried, how often it is sent, and its body kept for the next one. */
  ingressAttemptsMax: 32,
  ingressSentMax: 3,
  ingressReplayBytesMax: 64 * 1024,
  /** How long an endpoint that took no connection is chosen last. */
  ingressLameMs: 2_000,
  /** Connections to an endpoint kept, and for how long: servers close theirs after 5 s (node). */
  ingressSparesMax: 64,
  ingressSpareMsMax: 4_000,
  ingressSpareUnsafeMsMax: 500,
  /** What is read after an early answer; requests under way at the end of the process. */
  ingressLingerMsMax: 2_000,
  ingressDrainMsMax: 5_000,
  /** How often requests to a pod that is to end are counted. */
  ingressDrainLookMs: 20,
  ingressSweepMs: 1_000,
  /** Lines of the access log wait this long. */
  ingressLogMs: 1_000,
  ingressLogBytesMax: 16 * 1024 * 1024,
  ingressLogWaitingMax: 10_000,
  /** A port that somebody else has is tried again. */
  ingressListenMs: 10_000,
} as const;
