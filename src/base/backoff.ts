/** Exponential back-off: `min`, doubled for each failure, at most `max`; all in milliseconds. */
export function backoffMs(failures: number, minMs: number, maxMs: number): number {
  return Math.min(maxMs, minMs * 2 ** Math.min(failures, 30));
}
