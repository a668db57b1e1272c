/**
 * The loop that brings one whole thing (rules, routes, records, roles) to what the state says:
 * changes are gathered for a moment, runs never overlap, a failed run is tried again with back-off.
 */
import { backoffMs } from "#base/backoff.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface LevelOptions {
  clock: Clock;
  log: Log;
  signal: AbortSignal;
  /** What to do; throwing means: try again. */
  work: () => Promise<void>;
  /** Changes within this time after the first are handled together. Default 5 ms. */
  gatherMs?: number;
  /** Runs again this long after the last success, whatever happens. Default: never. */
  everyMs?: number;
}

export interface Level {
  /** Something changed. */
  poke(): void;
  /**
   * Resolves when what changed before the call is handled, whatever changes meanwhile; after the
   * signal aborted: when the last run is over.
   */
  settled(): Promise<void>;
}

class LevelLoop implements Level {
  readonly #options: LevelOptions;
  #cancel: Cancel | undefined;
  #dirty = false;
  #running = false;
  #failures = 0;
  /** Who waits for the end of the run that comes, and of the one under way. */
  #waiting: Array<() => void> = [];
  #served: Array<() => void> = [];

  constructor(options: LevelOptions) {
    this.#options = options;
    options.signal.addEventListener("abort", () => this.#stop(), { once: true });
  }

  poke(): void {
    if (this.#options.signal.aborted || this.#dirty) return;
    this.#dirty = true;
    if (!this.#running && this.#failures === 0) this.#schedule(this.#options.gatherMs ?? 5);
  }

  settled(): Promise<void> {
    if (!this.#dirty && !this.#running) return Promise.resolve();
    const waiting = this.#dirty ? this.#waiting : this.#served;
    return new Promise((resolve) => waiting.push(resolve));
  }

  #schedule(delayMs: number): void {
    this.#cancel?.();
    this.#cancel = this.#options.clock.after(delayMs, () => void this.#run());
  }

  async #run(): Promise<void> {
    this.#cancel = undefined;
    this.#dirty = false;
    this.#running = true;
    this.#served.push(...this.#waiting.splice(0));
    try {
      await this.#options.work();
      this.#failures = 0;
      this.#wake(this.#served);
    } catch (error) {
      this.#failures++;
      this.#dirty = true;
      this.#options.log.warn("try again", {
        error: messageOf(error),
        failures: this.#failures,
      });
    }
    this.#running = false;
    this.#next();
  }

  #next(): void {
    const { signal, everyMs, gatherMs } = this.#options;
    if (signal.aborted) {
      this.#stop();
    } else if (this.#failures > 0) {
      this.#schedule(backoffMs(this.#failures, limits.levelBackoffMsMin, limits.levelBackoffMsMax));
    } else if (this.#dirty) {
      this.#schedule(gatherMs ?? 5);
    } else if (everyMs !== undefined) {
      this.#schedule(everyMs);
    }
  }

  #stop(): void {
    this.#cancel?.();
    if (this.#running) return;
    this.#dirty = false;
    this.#wake(this.#waiting);
    this.#wake(this.#served);
  }

  #wake(waiting: Array<() => void>): void {
    for (const resolve of waiting.splice(0)) resolve();
  }
}

/** Starts idle: poke it once to begin. */
export function keepLevel(options: LevelOptions): Level {
  return new LevelLoop(options);
}
