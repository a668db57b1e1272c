/** What readers see, in memory: the newest item of every key, and each bucket's keys in order. */
import { assert } from "#base/assert.ts";
import type { Item, ListOptions } from "#store/store.ts";

/** A key that exists. The identity is its row on the disk: the revision that created it. */
export interface Entry {
  readonly id: number;
  item: Item;
}

/** Entries `start` to `end` (exclusive) of a bucket, in the order of their keys. */
export interface Range {
  readonly entries: readonly Entry[];
  readonly start: number;
  readonly end: number;
}

const EMPTY: Range = { entries: [], start: 0, end: 0 };

/** `apps/deployments/` of `apps/deployments/default/web`. */
export function bucketOf(key: string): string {
  const group = key.indexOf("/");
  const end = key.indexOf("/", group + 1);
  // The text is not made where nothing is wrong: this runs several times a request.
  if (group <= 0 || end <= group + 1) assert(false, `no bucket in key "${key}"`);
  return key.slice(0, end + 1);
}

/** Index of the first entry whose key is not less than `key`. */
function lowerBound(entries: readonly Entry[], key: string): number {
  let low = 0;
  let high = entries.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = entries[middle];
    if (entry !== undefined && entry.item.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isPlace(entries: readonly Entry[], at: number, key: string): boolean {
  if (at > entries.length) return false;
  const before = entries[at - 1];
  const here = entries[at];
  return (
    (before === undefined || before.item.key < key) && (here === undefined || key <= here.item.key)
  );
}

/** The first text that is greater than every text with this prefix, which ends with a slash. */
function pastPrefix(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

export class Objects {
  readonly #byKey = new Map<string, Entry>();
  readonly #buckets = new Map<string, Entry[]>();
  /** Where something was put or taken away last, in whichever bucket. */
  #near = 0;

  get(key: string): Entry | undefined {
    return this.#byKey.get(key);
  }

  /** Fills an empty index: sorts once instead of at every key. */
  load(entries: Iterable<Entry>): void {
    assert(this.#byKey.size === 0, "load into an empty index");
    for (const entry of entries) {
      const key = entry.item.key;
      const name = bucketOf(key);
      const bucket = this.#buckets.get(name);
      if (bucket === undefined) this.#buckets.set(name, [entry]);
      else bucket.push(entry);
      this.#byKey.set(key, entry);
    }
    for (const bucket of this.#buckets.values()) {
      bucket.sort((a, b) => (a.item.key < b.item.key ? -1 : 1));
    }
  }

  put(id: number, item: Item): void {
    const entry = this.#byKey.get(item.key);
    if (entry !== undefined) {
      assert(entry.id === id, `row of ${item.key}`);
      entry.item = item;
      return;
    }
    const fresh: Entry = { id, item };
    this.#byKey.set(item.key, fresh);
    const name = bucketOf(item.key);
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) this.#buckets.set(name, [fresh]);
    else bucket.splice(this.#placeOf(bucket, item.key), 0, fresh);
  }

  delete(key: string): void {
    const name = bucketOf(key);
    const bucket = this.#buckets.get(name);
    assert(this.#byKey.delete(key) && bucket !== undefined, `delete of ${key}`);
    if (bucket.length === 1) this.#buckets.delete(name);
    else bucket.splice(this.#placeOf(bucket, key), 1);
  }

  /** As `lowerBound`. Keys often come in order, so it looks beside the last place first. */
  #placeOf(entries: readonly Entry[], key: string): number {
    const near = this.#near;
    let place = near;
    if (!isPlace(entries, near, key)) {
      place = isPlace(entries, near + 1, key) ? near + 1 : lowerBound(entries, key);
    }
    this.#near = place;
    return place;
  }

  /** Where the keys with this prefix stand; only those after `after` when it is given. */
  range(prefix: string, after?: string): Range {
    if (!prefix.endsWith("/")) assert(false, `prefix "${prefix}" ends with a slash`);
    const name = bucketOf(prefix);
    const entries = this.#buckets.get(name);
    if (entries === undefined) return EMPTY;
    const whole = prefix.length === name.length;
    let start = whole ? 0 : lowerBound(entries, prefix);
    const end = whole ? entries.length : lowerBound(entries, pastPrefix(prefix));
    if (after !== undefined) start = Math.max(start, lowerBound(entries, `${after}\0`));
    return { entries, start: Math.min(start, end), end };
  }

  /** The items of a range that a filter chooses, where there is one. */
  filtered({ entries, start, end }: Range, filter: ListOptions["filter"]): Item[] {
    const items: Item[] = [];
    for (let i = start; i < end; i++) {
      const item = entries[i]?.item;
      if (item === undefined) continue;
      if (filter === undefined || filter(item.terms, item.key)) items.push(item);
    }
    return items;
  }

  *all(): Generator<Entry> {
    for (const bucket of this.#buckets.values()) yield* bucket;
  }
}
