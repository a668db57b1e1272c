/** Bounds of the DNS, a part of all bounds (`limits.ts`). */
export const dnsLimits = {
  /** Answers of other servers that are kept, questions to them under way, and their time. */
  dnsCacheEntriesMax: 10_000,
  dnsCacheBytesMax: 4 * 1024 * 1024,
  dnsForwardsMax: 1_000,
  dnsUpstreamMsMax: 2_000,
  /** A server that did not answer is asked last for this long. */
  dnsLameMs: 10_000,
  /** Own answers kept in bytes until something in the cluster changes. */
  dnsAnswersMax: 4_096,
  dnsStreamsMax: 128,
  dnsStreamIdleMsMax: 10_000,
  dnsStreamBacklogBytesMax: 1024 * 1024,
  /** The machine's resolv.conf is read again this often. */
  dnsResolvConfMs: 5_000,
} as const;
