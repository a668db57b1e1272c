/**
 * A long list is sent in runs of items. Where a run ends follows from its own items, so that a
 * change in one place leaves the runs of other places as they are; a run that is sent again keeps
 * its bytes for a while, for whoever lists the same next.
 */
import type { Kept } from "#api/slices.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Item } from "#store/store.ts";

export class Run {
  /** What it is made of; items themselves would be kept from being forgotten. */
  readonly keys: readonly string[];
  readonly revisions: readonly number[];
  /** The texts of its items as they were sent, once kept. */
  kept: Kept | undefined;
  asked = 0;
  askedMs = 0;

  constructor(items: readonly Item[]) {
    this.keys = items.map(({ key }) => key);
    this.revisions = items.map(({ revision }) => revision);
  }

  get length(): number {
    return this.keys.length;
  }

  isAt(items: readonly Item[], from: number): boolean {
    return this.keys.every((key, index) => {
      const item = items[from + index];
      return item?.revision === this.revisions[index] && item?.key === key;
    });
  }
}

const HASH = 31;
/** A run may end after one of so many keys. */
const ENDS_ONE_IN = 32;
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
  /** By the key of the first item; the one that was made first is at the beginning. */
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

  /** What a run was sent as. What is asked for once need not be kept. */
  sent(run: Run, keep: () => Kept): void {
    const isKnown = this.#runs.get(run.keys[0] ?? "") === run;
    if (run.asked < 2 || run.kept !== undefined || !isKnown) return;
    if (this.#bytes >= limits.runBytesMax) return;
    run.kept = keep();
    this.#bytes += run.kept.chunk.length;
  }

  close(): void {
    this.#cancel?.();
    for (const run of [...this.#runs.values()]) this.#drop(run);
  }

  #ask(run: Run): Run {
    run.asked += 1;
    run.askedMs = this.#clock.monotonic();
    return run;
  }

  #runAt(items: readonly Item[], from: number): Run {
    const known = this.#runs.get(items[from]?.key ?? "");
    if (known?.isAt(items, from)) return known;
    const to = endOfRun(items, from);
    const run = new Run(items.slice(from, to));
    // A page that ends within a run leaves it to the lists that have all of it.
    if (known === undefined || to < items.length || run.length >= known.length) this.#add(run);
    return run;
  }

  #add(run: Run): void {
    const [key = ""] = run.keys;
    const before = this.#runs.get(key);
    if (before !== undefined) this.#drop(before);
    this.#runs.set(key, run);
    for (const first of this.#runs.values()) {
      if (this.#runs.size <= limits.runsMax) break;
      this.#drop(first);
    }
    this.#cancel ??= this.#clock.after(limits.runIdleMs, () => this.#sweep());
  }

  #drop(run: Run): void {
    this.#runs.delete(run.keys[0] ?? "");
    this.#bytes -= run.kept?.chunk.length ?? 0;
    run.kept = undefined;
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
