/**
 * A long list is sent in runs of items. Where a run ends follows from its own items, so that a
 * change in one place leaves the runs of other places as they are; what a run is packed to is kept
 * for a while, for whoever lists the same next.
 */

import type { Packed } from "#api/gzip.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { Item } from "#store/store.ts";

export class Run {
  /** What it is made of; items themselves would be kept from being forgotten. */
  readonly keys: readonly string[];
  readonly revisions: readonly number[];
  /** What the texts of its items are packed to, once kept. */
  packed: Packed | undefined;
  askedMs = 0;

  constructor(items: readonly Item[]) {
    this.keys = items.map(({ key }) => key);
    this.revisions = items.map(({ revision }) => revision);
  }

  get length(): number {
    return this.keys.length;
  }

  get id(): string {
    return idOf(this.keys[0], this.keys.at(-1));
  }

  isAt(items: readonly Item[], from: number, to: number): boolean {
    if (this.length !== to - from) return false;
    return this.keys.every((key, index) => {
      const item = items[from + index];
      return item?.revision === this.revisions[index] && item?.key === key;
    });
  }
}

/** Lists of some of the same items have runs of their own, also where these begin with the same. */
const idOf = (first = "", last = ""): string => compoundKey(first, last);

const HASH = 31;
/** A run may end after one of so many keys. */
const ENDS_ONE_IN = 16;
/** Names differ most at their end. */
const HASHED_CHARS = 5;

function mayEndAfter(key: string): boolean {
  let hash = 0;
  for (let at = Math.max(0, key.length - HASHED_CHARS); at < key.length; at++) {
    hash = hash * HASH + key.charCodeAt(at);
  }
  return hash % ENDS_ONE_IN === 0;
}

/** Where the run that begins at `from` ends. */
export function endOfRun(items: readonly Item[], from: number): number {
  let to = from;
  let size = 0;
  while (to < items.length && to - from < limits.listSliceItems && size < limits.listSliceChars) {
    const item = items[to];
    size += item?.value.length ?? 0;
    to += 1;
    if (size >= limits.listRunChars && mayEndAfter(item?.key ?? "")) break;
  }
  return to;
}

export class Runs {
  readonly #clock: Clock;
  /** By their ids; the one that was made first is at the beginning. */
  readonly #runs = new Map<string, Run>();
  /** Of lists that were gone through to their end: the same list has the same runs. */
  #lists = new WeakMap<readonly Item[], readonly Run[]>();
  #bytes = 0;
  #cancel: Cancel | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Bytes that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The runs of a list, one after the other. */
  *of(items: readonly Item[]): Generator<Run> {
    const known = this.#lists.get(items);
    if (known !== undefined) {
      for (const run of known) yield this.#ask(run);
      return;
    }
    const runs: Run[] = [];
    for (let from = 0; from < items.length; ) {
      const run = this.#runAt(items, from);
      from += run.length;
      runs.push(run);
      yield this.#ask(run);
    }
    this.#lists.set(items, runs);
  }

  keep(run: Run, packed: Packed): void {
    const isKnown = this.#runs.get(run.id) === run;
    if (run.packed !== undefined || !isKnown || this.#bytes >= limits.runBytesMax) return;
    // A copy: its memory may be part of more.
    run.packed = { ...packed, bytes: new Uint8Array(packed.bytes) };
    this.#bytes += packed.bytes.length;
  }

  close(): void {
    this.#cancel?.();
    for (const run of [...this.#runs.values()]) this.#drop(run);
  }

  #ask(run: Run): Run {
    run.askedMs = this.#clock.monotonic();
    return run;
  }

  #runAt(items: readonly Item[], from: number): Run {
    const to = endOfRun(items, from);
    const known = this.#runs.get(idOf(items[from]?.key, items[to - 1]?.key));
    if (known?.isAt(items, from, to)) return known;
    if (known !== undefined) this.#drop(known);
    const run = new Run(items.slice(from, to));
    this.#add(run);
    return run;
  }

  #add(run: Run): void {
    this.#runs.set(run.id, run);
    for (const first of this.#runs.values()) {
      if (this.#runs.size <= limits.runsMax) break;
      this.#drop(first);
    }
    this.#cancel ??= this.#clock.after(limits.runIdleMs, () => this.#sweep());
  }

  #drop(run: Run): void {
    this.#runs.delete(run.id);
    this.#bytes -= run.packed?.bytes.length ?? 0;
    run.packed = undefined;
  }

  /** Forgets what nobody asked for of late. */
  #sweep(): void {
    const nowMs = this.#clock.monotonic();
    for (const run of [...this.#runs.values()]) {
      if (nowMs - run.askedMs >= limits.runIdleMs) this.#drop(run);
    }
    // They may be asked for again, and are counted anew then.
    this.#lists = new WeakMap();
    this.#cancel =
      this.#runs.size === 0 ? undefined : this.#clock.after(limits.runIdleMs, () => this.#sweep());
  }
}
