/** The real time, which a test may move on: timers that are due then run at once. */
import { type Cancel, type Clock, realClock } from "#base/clock.ts";

export interface ShiftClock extends Clock {
  shift(ms: number): void;
}

interface Timer {
  atMs: number;
  run: () => void;
  cancel: Cancel;
}

export function shiftClock(): ShiftClock {
  let shiftMs = 0;
  const timers = new Set<Timer>();
  const monotonic = () => realClock.monotonic() + shiftMs;

  function arm(timer: Timer): void {
    timer.cancel = realClock.after(Math.max(0, timer.atMs - monotonic()), () => {
      timers.delete(timer);
      timer.run();
    });
  }

  return {
    now: () => realClock.now() + shiftMs,
    monotonic,
    after(delayMs, run) {
      const timer: Timer = { atMs: monotonic() + delayMs, run, cancel: () => {} };
      timers.add(timer);
      arm(timer);
      return () => {
        timer.cancel();
        timers.delete(timer);
      };
    },
    shift(ms) {
      shiftMs += ms;
      for (const timer of timers) {
        timer.cancel();
        arm(timer);
      }
    },
  };
}
