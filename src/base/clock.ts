/**
 * Time as an argument: the real clock is named only here and in `main.ts`; tests pass a fake one.
 */

export type Cancel = () => void;

export interface Clock {
  /** Wall clock, milliseconds since the epoch. May jump. */
  now(): number;
  /** Milliseconds since an arbitrary moment. Never jumps. */
  monotonic(): number;
  /** Calls `run` once after `delayMs`, unless cancelled. */
  after(delayMs: number, run: () => void): Cancel;
}

/** A timer of more milliseconds than 32 bits hold would run at once: 24.8 days. */
const TIMER_MS_MAX = 0x7fffffff;

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after: (delayMs, run) => {
    let leftMs = delayMs;
    let timer: ReturnType<typeof setTimeout>;
    const arm = (): void => {
      const stepMs = Math.min(leftMs, TIMER_MS_MAX);
      leftMs -= stepMs;
      timer = setTimeout(leftMs > 0 ? arm : run, stepMs);
    };
    arm();
    return () => clearTimeout(timer);
  },
};

/** Runs again and again, each time `delayMs` after the last one ended, until `signal` aborts. */
export async function repeat(
  clock: Clock,
  delayMs: number,
  signal: AbortSignal,
  run: () => Promise<void>,
): Promise<void> {
  for (;;) {
    await sleep(clock, delayMs, signal);
    if (signal.aborted) return;
    await run();
  }
}

/** Resolves after `delayMs`, or at once when `signal` aborts. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve();
    const cancel = clock.after(delayMs, finish);
    function finish(): void {
      cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    }
    signal?.addEventListener("abort", finish, { once: true });
  });
}
