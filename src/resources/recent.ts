/** What was worked out of a text is remembered for when the text comes again, within bounds. */
import { keepNewest } from "#base/bounded.ts";

export interface RecentBounds {
  readonly entriesMax: number;
  /** Of one text: longer ones are not remembered. */
  readonly charsMax: number;
}

export class Recent<T> {
  readonly #bounds: RecentBounds;
  /** The one that came first is the first to go. */
  readonly #values = new Map<string, T>();

  constructor(bounds: RecentBounds) {
    this.#bounds = bounds;
  }

  get(text: string): T | undefined {
    return text.length > this.#bounds.charsMax ? undefined : this.#values.get(text);
  }

  set(text: string, value: T): void {
    if (text.length > this.#bounds.charsMax) return;
    this.#values.set(text, value);
    keepNewest(this.#values, this.#bounds.entriesMax);
  }
}
