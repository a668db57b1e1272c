/** Keys that are due at moments of their own, with one timer for all of them. */
import type { Cancel, Clock } from "#base/clock.ts";
import { Heap } from "#base/heap.ts";

interface Alarm {
  readonly key: string;
  /** Steady time. */
  readonly atMs: number;
}

const byTime = (a: Alarm, b: Alarm): boolean => a.atMs < b.atMs;

/** Alarms that were put off or cancelled stay where they are until they are most of all. */
const STALE_MIN = 64;

export class Alarms {
  readonly #clock: Clock;
  readonly #due: (key: string) => void;
  readonly #alarms = new Map<string, Alarm>();
  #heap = new Heap<Alarm>(byTime);
  #timer: { readonly atMs: number; readonly cancel: Cancel } | undefined;

  constructor(clock: Clock, due: (key: string) => void) {
    this.#clock = clock;
    this.#due = due;
  }

  /** A key is due after a delay, unless it is sooner already. */
  set(key: string, delayMs: number): void {
    const atMs = this.#clock.monotonic() + delayMs;
    const known = this.#alarms.get(key);
    if (known !== undefined && known.atMs <= atMs) return;
    const alarm = { key, atMs };
    this.#alarms.set(key, alarm);
    this.#heap.push(alarm);
    this.#tidy();
    this.#arm();
  }

  cancel(key: string): void {
    if (this.#alarms.delete(key) && this.#alarms.size === 0) this.clear();
  }

  clear(): void {
    this.#alarms.clear();
    this.#heap = new Heap(byTime);
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #tidy(): void {
    if (this.#heap.size <= 2 * this.#alarms.size + STALE_MIN) return;
    this.#heap = new Heap(byTime);
    for (const alarm of this.#alarms.values()) this.#heap.push(alarm);
  }

  /** The first that is still to come. */
  #first(): Alarm | undefined {
    for (;;) {
      const first = this.#heap.peek();
      if (first === undefined || this.#alarms.get(first.key) === first) return first;
      this.#heap.pop();
    }
  }

  #arm(): void {
    const first = this.#first();
    if (first === undefined || (this.#timer !== undefined && this.#timer.atMs <= first.atMs))
      return;
    this.#timer?.cancel();
    const { atMs } = first;
    const delayMs = Math.max(0, atMs - this.#clock.monotonic());
    this.#timer = { atMs, cancel: this.#clock.after(delayMs, () => this.#ring()) };
  }

  #ring(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonic();
    for (;;) {
      const first = this.#first();
      if (first === undefined || first.atMs > nowMs) break;
      this.#heap.pop();
      this.#alarms.delete(first.key);
      this.#due(first.key);
    }
    this.#arm();
  }
}
