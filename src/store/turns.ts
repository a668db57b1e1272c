/** Turns that cost something, of which so much comes back a second. */
import type { Clock } from "#base/clock.ts";

export interface TurnsOptions {
  readonly clock: Clock;
  readonly perSecond: number;
  /** What may be spent at once after a time of rest. */
  readonly burst: number;
}

export class Turns {
  readonly #options: TurnsOptions;
  #left: number;
  #atMs: number;

  constructor(options: TurnsOptions) {
    this.#options = options;
    this.#left = options.burst;
    this.#atMs = options.clock.monotonic();
  }

  /** Milliseconds until the next turn; 0: it may be taken now. */
  waitMs(): number {
    this.#refill();
    return this.#left > 0 ? 0 : Math.ceil((-this.#left * 1000) / this.#options.perSecond) + 1;
  }

  /** It may cost more than is left: the next turn comes later. */
  take(cost: number): void {
    this.#refill();
    this.#left -= cost;
  }

  #refill(): void {
    const { clock, perSecond, burst } = this.#options;
    const nowMs = clock.monotonic();
    this.#left = Math.min(burst, this.#left + ((nowMs - this.#atMs) * perSecond) / 1000);
    this.#atMs = nowMs;
  }
}
