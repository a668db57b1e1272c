/**
 * The work queue of one controller: each key at most once, one run at a time a key, timers by key.
 */
import type { Cancel, Clock } from "#base/clock.ts";
import { Alarms } from "#client/alarms.ts";

export interface WorkQueueOptions {
  clock: Clock;
  /** Runs at once, for different keys. */
  parallel: number;
  /** Asked after a run of a key: the next one starts this much later at least. */
  spacingMs(): number;
  run(key: string): Promise<void>;
}

export class WorkQueue {
  readonly #options: WorkQueueOptions;
  /** Keys to run, in the order of asking. */
  readonly #waiting = new Set<string>();
  readonly #running = new Set<string>();
  /** Asked for while running, or too soon after a run. */
  readonly #dirty = new Set<string>();
  readonly #alarms: Alarms;
  /** Keys that ran, and when each may run again (steady time); the first is the next. */
  readonly #resting = new Map<string, number>();
  #restTimer: Cancel | undefined;
  #open = false;
  #closed = false;
  #pumping = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    this.#alarms = new Alarms(options.clock, (key) => this.add(key));
  }

  /** Keys waiting, running or resting with more to do. */
  get busy(): number {
    return this.#waiting.size + this.#running.size + this.#dirty.size;
  }

  add(key: string): void {
    if (this.#closed) return;
    if (this.#running.has(key) || this.#resting.has(key)) this.#dirty.add(key);
    else this.#waiting.add(key);
    this.#pump();
  }

  /** Adds the key after a delay, unless a sooner one is set already. */
  addAfter(key: string, delayMs: number): void {
    if (!this.#closed) this.#alarms.set(key, delayMs);
  }

  /** Forgets the timer of a key. */
  cancelAfter(key: string): void {
    this.#alarms.cancel(key);
  }

  /** Runs may begin. */
  open(): void {
    this.#open = true;
    this.#pump();
  }

  /** No run begins any more; what runs comes to its end. */
  close(): void {
    this.#open = false;
    this.#closed = true;
    this.#alarms.clear();
    this.#restTimer?.();
    this.#resting.clear();
    this.#waiting.clear();
    this.#dirty.clear();
  }

  #pump(): void {
    if (!this.#open || this.#pumping || this.#waiting.size === 0) return;
    this.#pumping = true;
    // Not within the caller's change: a cache's listener must not wait for a plan.
    queueMicrotask(() => {
      this.#pumping = false;
      for (const key of this.#waiting) {
        if (!this.#open || this.#running.size >= this.#options.parallel) return;
        this.#waiting.delete(key);
        this.#running.add(key);
        void this.#run(key);
      }
    });
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.run(key);
    } finally {
      this.#running.delete(key);
      if (this.#open) this.#rest(key);
      this.#pump();
    }
  }

  #rest(key: string): void {
    const { clock } = this.#options;
    const spacingMs = this.#options.spacingMs();
    if (spacingMs <= 0) {
      this.#rested(key);
      return;
    }
    this.#resting.set(key, clock.monotonic() + spacingMs);
    this.#lookAfter(spacingMs);
  }

  #rested(key: string): void {
    if (this.#dirty.delete(key)) this.add(key);
  }

  /** One timer for all that rest: in their order, also where the spacing just became shorter. */
  #lookAfter(delayMs: number): void {
    if (this.#restTimer !== undefined || this.#closed) return;
    this.#restTimer = this.#options.clock.after(delayMs, () => {
      this.#restTimer = undefined;
      const nowMs = this.#options.clock.monotonic();
      for (const [key, untilMs] of this.#resting) {
        if (untilMs > nowMs) return this.#lookAfter(untilMs - nowMs);
        this.#resting.delete(key);
        this.#rested(key);
      }
    });
  }
}
