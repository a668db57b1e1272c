/**
 * A clock for machines without a battery: they start in 1970, or at the time of the last power cut.
 * It never shows less than a moment that is known to be over, and follows a clock that is to be
 * believed (a node its server). Timers and the steady time are the machine's own.
 */
import type { Clock } from "#base/clock.ts";

export interface TrueClock extends Clock {
  /** What a clock that is to be believed shows right now. */
  correct(nowMs: number): void;
  /** Milliseconds that the machine's own clock is ahead of this one; negative: it is behind. */
  aheadMs(): number;
}

export interface TrueClockOptions {
  readonly clock: Clock;
  /** It is later than this: the last good moment on the disk, or when the program was made. */
  readonly floorMs: number;
  /** Whether something keeps the machine's clock right (NTP). */
  readonly isKept: () => boolean;
}

/** Below this two clocks agree: an answer takes its time, and NTP steers in small steps. */
const AGREE_MS = 2_000;
/** The machine's clock was set, by hand or by NTP: it moved against the steady one. */
const JUMP_MS = 1_000;

export function trueClock({ clock, floorMs, isKept }: TrueClockOptions): TrueClock {
  const steadyOffset = (): number => clock.now() - clock.monotonic();
  let offsetMs = steadyOffset();
  /** Machine's clock shown as it is; undefined: time goes on from this anchor. */
  let anchor: { wallMs: number; steadyMs: number; believed: boolean } | undefined;
  if (clock.now() < floorMs) {
    anchor = { wallMs: floorMs, steadyMs: clock.monotonic(), believed: false };
  }

  const anchored = (from: { wallMs: number; steadyMs: number }): number =>
    from.wallMs + (clock.monotonic() - from.steadyMs);

  /** A machine whose clock was set since we look, or is kept right, knows better than the disk. */
  function settle(): void {
    const now = steadyOffset();
    const beforeMs = offsetMs;
    const wasSet = Math.abs(now - beforeMs) > JUMP_MS;
    offsetMs = now;
    if (anchor === undefined && clock.now() < EARLIEST_MS) {
      // It fell back to its beginning while we ran: time goes on as it was.
      const steadyMs = clock.monotonic();
      anchor = { wallMs: beforeMs + steadyMs, steadyMs, believed: false };
    }
    if (anchor === undefined || anchor.believed) return;
    if (clock.now() >= anchored(anchor) || (wasSet && clock.now() > EARLIEST_MS) || isKept()) {
      anchor = undefined;
    }
  }

  /** Both clocks at one moment: the machine's is read once, or the two differ by its tick. */
  function read(): { machineMs: number; shownMs: number } {
    settle();
    const machineMs = clock.now();
    if (anchor === undefined) return { machineMs, shownMs: machineMs };
    const nowMs = anchored(anchor);
    const agree = Math.abs(nowMs - machineMs) <= AGREE_MS;
    return { machineMs, shownMs: agree ? machineMs : nowMs };
  }

  return {
    monotonic: () => clock.monotonic(),
    after: (delayMs, run) => clock.after(delayMs, run),
    now: () => read().shownMs,
    correct(nowMs) {
      anchor = { wallMs: nowMs, steadyMs: clock.monotonic(), believed: true };
    },
    aheadMs() {
      const { machineMs, shownMs } = read();
      return machineMs - shownMs;
    },
  };
}

/** A clock that shows less is wrong: this program did not exist. */
export const EARLIEST_MS = Date.UTC(2026, 0, 1);
