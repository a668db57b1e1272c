/**
 * Lists of whole prefixes, and what filters chose of them, remembered by the filters' names: who
 * asks again pays only for what changed since. A write costs nothing here, and what is remembered
 * holds no item that the history does not hold.
 */

import { assert } from "#base/assert.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { History } from "#store/history.ts";
import type { Objects } from "#store/objects.ts";
import type { Change, Item, ListOptions } from "#store/store.ts";

type Filter = ListOptions["filter"];

/** A whole list, or one by a filter that has a name. */
export interface Asked {
  readonly prefix: string;
  readonly filter: Filter;
  /** "" without a filter. */
  readonly name: string;
}

interface Chosen {
  /** State as of this revision. */
  readonly revision: number;
  /** In the order of their keys; handed out, so never changed. */
  readonly items: readonly Item[];
}

function placeOf(items: readonly Item[], key: string): number {
  let low = 0;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const item = items[middle];
    if (item !== undefined && item.key < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The items after these changes. */
function renewed(items: readonly Item[], changes: readonly Change[], filter: Filter): Item[] {
  const next = [...items];
  for (const { type, item } of changes) {
    const place = placeOf(next, item.key);
    const known = next[place]?.key === item.key ? 1 : 0;
    const isChosen = type === "put" && (filter === undefined || filter(item.terms, item.key));
    if (isChosen) next.splice(place, known, item);
    else if (known === 1) next.splice(place, 1);
  }
  return next;
}

export type SelectionBounds = Readonly<
  Record<"selectionScannedMin" | "selectionsMax" | "selectionItemsMax", number>
>;

export class Selections {
  readonly #bounds: SelectionBounds;
  /** The one that was asked for last is at the end. */
  readonly #chosen = new Map<string, Chosen>();
  #items = 0;
  /** None shows an older state than this. */
  #oldest = Number.POSITIVE_INFINITY;

  constructor(bounds: SelectionBounds = limits) {
    this.#bounds = bounds;
  }

  /** How many are remembered. */
  get size(): number {
    return this.#chosen.size;
  }

  /** All items that the filter chooses now, at `revision`. */
  list(asked: Asked, revision: number, objects: Objects, history: History): readonly Item[] {
    const id = compoundKey(asked.prefix, asked.name);
    const known = this.#chosen.get(id);
    if (known?.revision === revision) {
      this.#chosen.delete(id);
      this.#chosen.set(id, known);
      return known.items;
    }
    const range = objects.range(asked.prefix);
    const size = range.end - range.start;
    const isNear =
      known !== undefined &&
      known.revision >= history.floor &&
      revision - known.revision < size / CHANGE_COST;
    const items = isNear
      ? renewed(known.items, history.after(known.revision, asked.prefix), asked.filter)
      : objects.filtered(range, asked.filter);
    if (size >= this.#bounds.selectionScannedMin) this.#keep(id, { revision, items });
    return items;
  }

  /** Forgets states that are older than the history reaches. */
  forgetBefore(floor: number): void {
    if (floor <= this.#oldest) return;
    this.#oldest = Number.POSITIVE_INFINITY;
    for (const [id, { revision }] of this.#chosen) {
      if (revision < floor) this.#forget(id);
      else this.#oldest = Math.min(this.#oldest, revision);
    }
  }

  #keep(id: string, chosen: Chosen): void {
    this.#forget(id);
    if (chosen.items.length > this.#bounds.selectionItemsMax / 2) return;
    this.#chosen.set(id, chosen);
    this.#items += chosen.items.length;
    this.#oldest = Math.min(this.#oldest, chosen.revision);
    const { selectionsMax, selectionItemsMax } = this.#bounds;
    for (const oldest of this.#chosen.keys()) {
      if (this.#chosen.size <= selectionsMax && this.#items <= selectionItemsMax) break;
      this.#forget(oldest);
    }
    assert(this.#items >= 0, "items of selections are counted");
  }

  #forget(id: string): void {
    const known = this.#chosen.get(id);
    if (known === undefined) return;
    this.#chosen.delete(id);
    this.#items -= known.items.length;
  }
}

/** To put a change in its place costs about as much as to look at so many items. */
const CHANGE_COST = 8;
