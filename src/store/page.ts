/** Pages of a list, as of now or as of a revision that the history still reaches. */
import { assert } from "#base/assert.ts";
import type { History } from "#store/history.ts";
import type { Entry, Objects } from "#store/objects.ts";
import type { Item, ListOptions, Page } from "#store/store.ts";

/** The items of a prefix at a revision: an array-like that a page is cut from. */
type At = (index: number) => Item;

interface View {
  readonly length: number;
  readonly at: At;
}

export function page(
  options: ListOptions,
  revision: number,
  objects: Objects,
  history: History,
): Page {
  assert(options.limit === undefined || options.limit > 0, "limit is positive");
  const view = viewAt(options, revision, objects, history);
  const limit = options.limit ?? Number.POSITIVE_INFINITY;
  return options.filter === undefined
    ? whole(view, limit, revision)
    : filtered(view, limit, revision, options.filter);
}

function whole(view: View, limit: number, revision: number): Page {
  const count = Math.min(view.length, limit);
  const items: Item[] = [];
  for (let i = 0; i < count; i++) items.push(view.at(i));
  const last = items.at(-1);
  const remaining = view.length - count;
  return remaining > 0 && last !== undefined
    ? { items, revision, next: last.key, remaining }
    : { items, revision };
}

/** A next page is announced only when it has an item: the scan goes on until it finds one. */
function filtered(
  view: View,
  limit: number,
  revision: number,
  filter: NonNullable<ListOptions["filter"]>,
): Page {
  const items: Item[] = [];
  for (let i = 0; i < view.length; i++) {
    const item = view.at(i);
    if (!filter(item.terms, item.key)) continue;
    if (items.length === limit) {
      const last = items.at(-1);
      return last === undefined ? { items, revision } : { items, revision, next: last.key };
    }
    items.push(item);
  }
  return { items, revision };
}

function viewAt(
  { prefix, after }: ListOptions,
  revision: number,
  objects: Objects,
  history: History,
): View {
  const { entries, start, end } = objects.range(prefix, after);
  const overlay = history.overlay(revision, prefix);
  if (overlay.size === 0) {
    return { length: end - start, at: (index) => itemAt(entries, start + index) };
  }
  const items: Item[] = [];
  for (let i = start; i < end; i++) {
    const item = itemAt(entries, i);
    if (!overlay.has(item.key)) items.push(item);
  }
  for (const [key, item] of overlay) {
    if (item !== undefined && (after === undefined || key > after)) items.push(item);
  }
  items.sort((a, b) => (a.key < b.key ? -1 : 1));
  return { length: items.length, at: (index) => itemOf(items[index]) };
}

function itemAt(entries: readonly Entry[], index: number): Item {
  return itemOf(entries[index]?.item);
}

function itemOf(item: Item | undefined): Item {
  assert(item !== undefined, "index within the view");
  return item;
}
