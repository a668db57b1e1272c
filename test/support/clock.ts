/** A clock that stands still until it is told to go on. */
import type { Cancel, Clock } from "#base/clock.ts";

export interface FakeClock extends Clock {
  /** Lets time pass: timers run in order, and what they wake runs before the next one. */
  advance(ms: number): Promise<void>;
  /** Lets everything that is ready run, without time passing. */
  settle(): Promise<void>;
  /** Moves the wall clock alone, as NTP or an operator does. */
  jump(ms: number): void;
  /** Timers that are set. */
  readonly timers: number;
}

interface Timer {
  atMs: number;
  order: number;
  run: () => void;
}

/** Turns of the event loop that settle anything in process (streams take several). */
const TURNS = 12;

export function fakeClock(startMs = Date.UTC(2026, 0, 1)): FakeClock {
  let monotonicMs = 0;
  let wallMs = startMs;
  let order = 0;
  const timers = new Set<Timer>();

  async function settle(): Promise<void> {
    for (let turn = 0; turn < TURNS; turn++) await new Promise((done) => setImmediate(done));
  }

  function due(untilMs: number): Timer | undefined {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.atMs > untilMs) continue;
      const sooner = first === undefined || timer.atMs < first.atMs;
      if (sooner || (timer.atMs === first?.atMs && timer.order < first.order)) first = timer;
    }
    return first;
  }

  return {
    now: () => wallMs + monotonicMs,
    monotonic: () => monotonicMs,
    after(delayMs, run): Cancel {
      const timer = { atMs: monotonicMs + Math.max(0, delayMs), order: order++, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const untilMs = monotonicMs + ms;
      await settle();
      for (let timer = due(untilMs); timer !== undefined; timer = due(untilMs)) {
        timers.delete(timer);
        monotonicMs = timer.atMs;
        timer.run();
        await settle();
      }
      monotonicMs = untilMs;
      await settle();
    },
    settle,
    jump(ms) {
      wallMs += ms;
    },
    get timers() {
      return timers.size;
    },
  };
}
