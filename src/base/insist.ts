/** For steps that must be done some day, but hold nobody up while the disk is full. */
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";

export interface Insistence {
  /** May run more than once; it finds out by itself what is left to do. */
  readonly step: () => Promise<void>;
  /** Whether this failure may go away by itself. */
  readonly passes: (error: unknown) => boolean;
  /** What the log calls the step. */
  readonly what: string;
  readonly retryMs: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * Runs a step once; where it fails for now, goes on with it in the background until it went through
 * or is cancelled. @throws the first failure, when it will not pass.
 */
export async function insist(about: Insistence): Promise<Cancel> {
  const { step, passes, what, retryMs, clock, log } = about;
  let cancelled = false;
  let cancel: Cancel = () => {};
  const later = (error: unknown): void => {
    log.warn(`${what}: tried again later`, { error: messageOf(error) });
    cancel = clock.after(retryMs, () => void again());
  };
  async function again(): Promise<void> {
    try {
      await step();
      log.info(`${what}: done`);
    } catch (error) {
      if (cancelled) return;
      if (passes(error)) later(error);
      else log.error(`${what} failed`, { error: messageOf(error) });
    }
  }
  try {
    await step();
  } catch (error) {
    if (!passes(error)) throw error;
    later(error);
  }
  return () => {
    cancelled = true;
    cancel();
  };
}
