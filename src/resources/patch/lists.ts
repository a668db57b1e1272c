/** Lists in strategic merge patches: merging by key, and the order of the result. */
import { goText, isObject, type JsonObject, member, PatchError } from "#resources/patch/values.ts";
import type { Json } from "#resources/types.gen.ts";

export interface ListMerge {
  /** Undefined for lists of scalars. */
  readonly mergeKey: string | undefined;
  mergeItems(original: JsonObject, patch: JsonObject): JsonObject;
  /** Readies an item of the patch that had no counterpart. */
  clean(value: Json): Json;
}

const kindOf = (value: Json): string =>
  Array.isArray(value) ? "list" : value === null ? "null" : typeof value;

/** Lists of one patch hold items of one type, and no lists. */
function elementKind(...lists: Json[][]): string {
  let kind = "";
  for (const item of lists.flat()) {
    const next = kindOf(item);
    if (next === "list") throw new PatchError(422, "lists of lists are not supported");
    if (kind !== "" && next !== kind) {
      throw new PatchError(422, `list element types are not identical: ${goText(lists)}`);
    }
    kind = next;
  }
  return kind;
}

function keyOf(item: Json, mergeKey: string): Json {
  const value = isObject(item) ? member(item, mergeKey) : undefined;
  if (value !== undefined) return value;
  const text = goText(item);
  throw new PatchError(422, `map: ${text} does not contain declared merge key: ${mergeKey}`);
}

export interface MergedList {
  readonly items: Json[];
  /** The order of the live list afterwards, with new items in the place of deleted ones. */
  readonly live: Json[];
}

export function mergeLists(original: Json[], patch: Json[], options: ListMerge): MergedList {
  if (original.length === 0 && patch.length === 0) return { items: original, live: original };
  const isMap = elementKind(original, patch) === "object";
  if (!isMap) {
    const merged = [...new Set([...original, ...patch])];
    return { items: interleave(merged, patch, original, (item) => item), live: original };
  }
  const { mergeKey } = options;
  if (mergeKey === undefined) {
    throw new PatchError(422, "cannot merge lists without merge key for struct");
  }
  const { kept, given, replaced } = directed(
    original as JsonObject[],
    patch as JsonObject[],
    mergeKey,
  );
  // Nothing is merged then, as upstream has it: a node has several addresses of one type.
  if (replaced) return { items: given.map((item) => options.clean(item)), live: original };
  const merged: Json[] = [...kept];
  const places = placesOf(kept, mergeKey);
  for (const item of given) {
    const key = keyOf(item, mergeKey);
    const place = places.get(key);
    if (place === undefined) {
      places.set(key, merged.length);
      merged.push(options.clean(item));
    } else {
      merged[place] = options.mergeItems(merged[place] as JsonObject, item);
    }
  }
  const items = interleave(merged, given, kept, (item) => keyOf(item, mergeKey));
  return { items, live: merged.slice(0, original.length) };
}

function placesOf(items: readonly JsonObject[], mergeKey: string): Map<Json, number> {
  const places = new Map<Json, number>();
  items.forEach((item, index) => {
    const key = member(item, mergeKey);
    if (key !== undefined && !places.has(key)) places.set(key, index);
  });
  return places;
}

/** Obeys `$patch` in items: `delete` takes its counterpart away, `replace` all of the original. */
function directed(
  original: readonly JsonObject[],
  patch: readonly JsonObject[],
  mergeKey: string,
): { kept: JsonObject[]; given: JsonObject[]; replaced: boolean } {
  const given: JsonObject[] = [];
  const gone = new Set<Json>();
  let replaced = false;
  for (const item of patch) {
    const directive = member(item, "$patch");
    if (directive === undefined) given.push(item);
    else if (directive === "replace") replaced = true;
    else if (directive === "delete") gone.add(keyOf(item, mergeKey));
    else if (directive === "merge") {
      throw new PatchError(422, "merging lists cannot yet be specified in the patch");
    } else {
      const text = `unknown patch type: ${goText(directive)} in map: ${goText(item)}`;
      throw new PatchError(422, text);
    }
  }
  if (replaced) return { kept: [], given, replaced };
  const stays = (item: JsonObject): boolean => {
    const key = member(item, mergeKey);
    return key === undefined || !gone.has(key);
  };
  return { kept: original.filter(stays), given, replaced };
}

interface Order {
  /** `$setElementOrder`: the order that the patch asks for. */
  readonly wanted: Json[];
  readonly given: Json[];
  readonly live: Json[];
  readonly mergeKey: string | undefined;
}

/** The merged list in the order of `wanted`; what only the server has keeps its place as it can. */
export function orderLike(merged: Json[], order: Order): Json[] {
  const { wanted, given, live, mergeKey } = order;
  const identity = (item: Json): Json => (mergeKey === undefined ? item : keyOf(item, mergeKey));
  checkOrder(given, wanted, identity);
  return interleave(merged, wanted, live, identity);
}

/** The items of the patch must come in the order of the directive, and all be in it. */
function checkOrder(given: Json[], wanted: Json[], identity: (item: Json) => Json): void {
  if (wanted.length === 0 || given.length === 0) return;
  let at = 0;
  for (const item of given) {
    if (isObject(item) && Object.hasOwn(item, "$patch")) continue;
    const key = identity(item);
    while (at < wanted.length && identity(wanted[at] as Json) !== key) at += 1;
    if (at === wanted.length) {
      const lists = `${goText(given)}\n doesn't match $setElementOrder list:\n${goText(wanted)}\n`;
      throw new PatchError(422, `The order in patch list:\n${lists}`);
    }
    at += 1;
  }
}

/**
 * Items that the patch names in its order, among them the server's own ones: each goes before the
 * first item of the patch that stood behind it in the live list.
 */
function interleave(
  merged: readonly Json[],
  patchOrder: readonly Json[],
  liveOrder: readonly Json[],
  identity: (item: Json) => Json,
): Json[] {
  const wanted = firstPlaces(patchOrder, identity);
  const live = firstPlaces(liveOrder, identity);
  const place = (item: Json, places: Map<Json, number>): number =>
    places.get(identity(item)) ?? Number.MAX_SAFE_INTEGER;
  const named = merged.filter((item) => wanted.has(identity(item)));
  const own = merged.filter((item) => !wanted.has(identity(item)));
  named.sort((a, b) => place(a, wanted) - place(b, wanted));
  own.sort((a, b) => place(a, live) - place(b, live));
  const out: Json[] = [];
  let next = 0;
  for (const item of named) {
    const here = live.get(identity(item));
    while (next < own.length) {
      const mine = live.get(identity(own[next] as Json));
      if (here === undefined || mine === undefined || mine >= here) break;
      out.push(own[next] as Json);
      next += 1;
    }
    out.push(item);
  }
  return [...out, ...own.slice(next)];
}

function firstPlaces(items: readonly Json[], identity: (item: Json) => Json): Map<Json, number> {
  const places = new Map<Json, number>();
  items.forEach((item, index) => {
    const key = identity(item);
    if (!places.has(key)) places.set(key, index);
  });
  return places;
}
