/**
 * The newest changes, bounded by count and bytes: for watches that resume and lists that continue.
 */
import { assert, must } from "#base/assert.ts";
import type { Change, Item } from "#store/store.ts";

export interface HistoryLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

/** What a change costs beside its texts: objects, key, index terms. */
const OVERHEAD_BYTES = 512;

export class History {
  readonly #limits: HistoryLimits;
  /** A ring: the oldest change is at `#first`. */
  readonly #changes: Array<Change | undefined> = [];
  readonly #sizes: number[] = [];
  #first = 0;
  #count = 0;
  #bytes = 0;
  #floor: number;

  /** `floor`: the newest revision whose change is not known any more. */
  constructor(floor: number, limits: HistoryLimits) {
    this.#floor = floor;
    this.#limits = limits;
  }

  /** The oldest revision that a watch can go on after and a list can show. */
  get floor(): number {
    return this.#floor;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(change: Change): void {
    assert(change.revision > this.#floor, "history grows upwards");
    if (this.#count === this.#limits.eventsMax) this.#drop();
    const at = (this.#first + this.#count) % this.#limits.eventsMax;
    const size = this.#sizeOf(change);
    this.#changes[at] = change;
    this.#sizes[at] = size;
    this.#count++;
    this.#bytes += size;
    while (this.#bytes > this.#limits.bytesMax && this.#count > 0) this.#drop();
  }

  /** Forgets changes up to and including this revision. */
  compact(revision: number): void {
    while (this.#count > 0 && this.#at(0).revision <= revision) this.#drop();
    if (revision > this.#floor) this.#floor = revision;
  }

  /** Changes after a revision, oldest first, of keys with this prefix. */
  after(revision: number, prefix: string): Change[] {
    assert(revision >= this.#floor, "history reaches that far");
    const found: Change[] = [];
    for (let i = this.#indexAfter(revision); i < this.#count; i++) {
      const change = this.#at(i);
      if (change.item.key.startsWith(prefix)) found.push(change);
    }
    return found;
  }

  /**
   * Items that stood at a revision where something else stands now; undefined: nothing stood there.
   */
  overlay(revision: number, prefix: string): Map<string, Item | undefined> {
    const before = new Map<string, Item | undefined>();
    for (const change of this.after(revision, prefix)) {
      if (!before.has(change.item.key)) before.set(change.item.key, change.previous);
    }
    return before;
  }

  /** An earlier text is counted only where no older change in the ring holds it already. */
  #sizeOf(change: Change): number {
    const { item, previous } = change;
    const earlier =
      previous !== undefined && previous.revision <= this.#floor ? previous.value.length : 0;
    return item.value.length + earlier + OVERHEAD_BYTES;
  }

  #at(index: number): Change {
    return must(this.#changes[(this.#first + index) % this.#limits.eventsMax], "change");
  }

  #indexAfter(revision: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#at(middle).revision <= revision) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #drop(): void {
    this.#floor = Math.max(this.#floor, this.#at(0).revision);
    this.#bytes -= this.#sizes[this.#first] ?? 0;
    this.#changes[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#limits.eventsMax;
    this.#count--;
  }
}
