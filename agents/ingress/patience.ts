import type { Cancel, Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

/** As `clock.after`; after a stall of the event loop the packets that have come are seen before. */
export function afterPackets(clock: Clock, delayMs: number, run: () => void): Cancel {
  const { ingressStallMs } = limits;
  let cancel = clock.after(Math.max(0, delayMs - ingressStallMs), () => {
    cancel = clock.after(ingressStallMs, run);
  });
  return () => cancel();
}
