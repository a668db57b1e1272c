/** Which fields an object has, and which differ between two, as sets of fields. */
import { fieldNode, KEY_DEFAULTS, type MergeNode } from "#resources/managed/node.ts";
import { type FieldSet, ITSELF, SELF, withSelf } from "#resources/managed/sets.ts";
import { deepEqual, isObject, type JsonObject } from "#resources/patch/values.ts";
import type { Json } from "#resources/types.gen.ts";

type Draft = { [element: string]: FieldSet };

/** How the node merges this very value. */
export function kindFor(node: MergeNode, value: Json | undefined): "leaf" | "map" | "set" | "list" {
  switch (node.kind) {
    case "map":
    case "any":
      return isObject(value) ? "map" : "leaf";
    case "set":
    case "list":
      return Array.isArray(value) ? node.kind : "leaf";
    default:
      return "leaf";
  }
}

/** `k:{"name":"web"}` or `v:"x"`; undefined where the item has none of the keys. */
export function elementOf(node: MergeNode, item: Json): string | undefined {
  if (node.kind === "set") return `v:${JSON.stringify(item)}`;
  if (!isObject(item)) return undefined;
  let text = "";
  for (const key of node.keys) {
    const value = item[key] ?? KEY_DEFAULTS[key];
    if (value === undefined) continue;
    text += `${text === "" ? "" : ","}${JSON.stringify(key)}:${JSON.stringify(value)}`;
  }
  return text === "" ? undefined : `k:{${text}}`;
}

/** Items of a list by their element, doubles together, in the order of the list. */
export function byElement(node: MergeNode, list: readonly Json[]): Map<string, Json[]> {
  const result = new Map<string, Json[]>();
  for (const item of list) {
    const element = elementOf(node, item);
    if (element === undefined) continue;
    const same = result.get(element);
    if (same === undefined) result.set(element, [item]);
    else same.push(item);
  }
  return result;
}

const hasFields = (object: JsonObject): boolean => {
  for (const _ in object) return true;
  return false;
};

/**
 * Everything that comes with this value, the field itself too: as if it had not been there before.
 */
export function wholeSet(node: MergeNode, value: Json): FieldSet {
  return withSelf(innerSet(node, value));
}

/** What comes inside of a field that was there, but empty. */
function innerSet(node: MergeNode, value: Json): FieldSet | undefined {
  switch (kindFor(node, value)) {
    case "map":
      return withPresent(node, value as JsonObject, mapSet(node, value as JsonObject, wholeSet));
    case "set":
    case "list":
      return listSet(node, value as Json[], wholeSet);
    default:
      return ITSELF;
  }
}

/** With the fields that Go's type has, even where this value leaves them out. */
function withPresent(
  node: MergeNode,
  value: JsonObject,
  set: FieldSet | undefined,
): FieldSet | undefined {
  let out = set as Draft | undefined;
  for (const key of node.present) {
    if (Object.hasOwn(value, key) || node.unowned.has(key)) continue;
    out ??= {};
    out[`f:${key}`] = wholeSet(
      fieldNode(node, key),
      fieldNode(node, key).kind === "map" ? {} : null,
    );
  }
  return out;
}

type SetOf = (node: MergeNode, value: Json) => FieldSet | undefined;

function mapSet(node: MergeNode, value: JsonObject, setOf: SetOf): FieldSet | undefined {
  const set: Draft = {};
  let some = false;
  for (const key in value) {
    if (node.unowned.has(key)) continue;
    const below = setOf(fieldNode(node, key), value[key] as Json);
    if (below === undefined) continue;
    set[`f:${key}`] = below;
    some = true;
  }
  return some ? set : undefined;
}

function listSet(node: MergeNode, value: readonly Json[], setOf: SetOf): FieldSet | undefined {
  const set: Draft = {};
  let some = false;
  const item = node.item;
  for (const [element, items] of byElement(node, value)) {
    const doubled = items.length > 1 || item === undefined;
    set[element] = doubled ? ITSELF : withSelf(setOf(item, items[0] as Json));
    some = true;
  }
  return some ? set : undefined;
}

/** The set of one field of an object; undefined: it has to be worked out. */
export type KnownSet = (key: string, value: Json) => FieldSet | undefined;

/** Fields that an object brings along when it is created. */
export function createdSet(
  node: MergeNode,
  value: JsonObject,
  known?: KnownSet,
): FieldSet | undefined {
  const set: Draft = {};
  let some = false;
  for (const key in value) {
    if (node.unowned.has(key)) continue;
    const given = value[key] as Json;
    const below = known?.(key, given) ?? memberSet(node, key, given);
    if (below === undefined) continue;
    set[`f:${key}`] = below;
    some = true;
  }
  return some ? set : undefined;
}

/** What one field of a new object brings along. */
export function memberSet(node: MergeNode, key: string, value: Json): FieldSet | undefined {
  const child = fieldNode(node, key);
  return node.present.has(key) ? presentSet(child, value) : wholeSet(child, value);
}

function presentSet(node: MergeNode, value: Json): FieldSet | undefined {
  const kind = kindFor(node, value);
  return kind === "map" ? createdSet(node, value as JsonObject) : innerSet(node, value);
}

/**
 * Fields that a configuration names, as an applier owns them: structs only through what is in them.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management
 */
export function configuredSet(node: MergeNode, value: Json): FieldSet | undefined {
  switch (kindFor(node, value)) {
    case "map":
      return configuredMap(node, value as JsonObject);
    case "set":
    case "list":
      return listSet(node, value as Json[], configuredSet);
    default:
      return ITSELF;
  }
}

function configuredMap(node: MergeNode, value: JsonObject): FieldSet | undefined {
  const set: Draft = {};
  let some = false;
  for (const key in value) {
    if (node.unowned.has(key)) continue;
    const given = value[key] as Json;
    const below = configuredSet(fieldNode(node, key), given);
    const blank = given === null || (isObject(given) && !hasFields(given));
    const owned = blank || !node.fields.has(key) ? withSelf(below) : below;
    if (owned === undefined) continue;
    set[`f:${key}`] = owned;
    some = true;
  }
  return some ? set : undefined;
}

/** The three are disjoint; undefined is empty. */
export interface Difference {
  readonly added?: FieldSet;
  readonly removed?: FieldSet;
  readonly modified?: FieldSet;
}

const MODIFIED: Difference = { modified: ITSELF };
const KINDS = ["added", "removed", "modified"] as const;

class Collector {
  readonly #parts: { added?: Draft; removed?: Draft; modified?: Draft } = {};
  #some = false;

  put(element: string, difference: Difference | undefined): void {
    if (difference === undefined) return;
    for (const kind of KINDS) {
      const set = difference[kind];
      if (set === undefined) continue;
      const part = this.#parts[kind] ?? {};
      part[element] = set;
      this.#parts[kind] = part;
      this.#some = true;
    }
  }

  result(): Difference | undefined {
    return this.#some ? this.#parts : undefined;
  }
}

/** Undefined where they are the same. */
export function compare(node: MergeNode, a: Json, b: Json): Difference | undefined {
  if (a === b) return undefined;
  const kind = kindFor(node, b);
  if (kind !== kindFor(node, a) || kind === "leaf") {
    return deepEqual(a, b) ? undefined : MODIFIED;
  }
  if (kind === "map") return compareMaps(node, a as JsonObject, b as JsonObject);
  return compareLists(node, a as Json[], b as Json[]);
}

function compareMaps(node: MergeNode, a: JsonObject, b: JsonObject): Difference | undefined {
  const out = new Collector();
  for (const key in a) {
    if (node.unowned.has(key)) continue;
    const child = fieldNode(node, key);
    const mine = a[key] as Json;
    const other = Object.hasOwn(b, key) ? b[key] : undefined;
    if (other !== undefined) out.put(`f:${key}`, compare(child, mine, other));
    else if (node.present.has(key))
      out.put(`f:${key}`, compare(child, mine, absentLike(child, mine)));
    else out.put(`f:${key}`, { removed: wholeSet(child, mine) });
  }
  for (const key in b) {
    if (node.unowned.has(key) || (Object.hasOwn(a, key) && a[key] !== undefined)) continue;
    const child = fieldNode(node, key);
    const other = b[key] as Json;
    if (node.present.has(key)) out.put(`f:${key}`, compare(child, absentLike(child, other), other));
    else out.put(`f:${key}`, { added: wholeSet(child, other) });
  }
  return out.result();
}

/**
 * What Go has for a field that is always there and that JSON leaves out, to compare this value
 * with.
 */
function absentLike(node: MergeNode, value: Json): Json {
  switch (kindFor(node, value)) {
    case "map":
      return {};
    case "leaf":
      return null;
    default:
      return (value as Json[]).length === 0 ? null : [];
  }
}

function compareLists(node: MergeNode, a: Json[], b: Json[]): Difference | undefined {
  if (deepEqual(a, b)) return undefined;
  const out = new Collector();
  const before = byElement(node, a);
  const after = byElement(node, b);
  const item = node.item;
  if (item === undefined) return undefined;
  for (const element of new Set([...before.keys(), ...after.keys()])) {
    const mine = before.get(element) ?? [];
    const other = after.get(element) ?? [];
    out.put(element, compareItems(item, mine, other));
  }
  return out.result();
}

/** Items with one element; doubles are compared as one leaf. */
function compareItems(node: MergeNode, a: Json[], b: Json[]): Difference | undefined {
  const [mine, other] = [a[0], b[0]];
  if (a.length > 1 && b.length > 1) return deepEqual(a, b) ? undefined : MODIFIED;
  if (a.length > 1) {
    const added = other === undefined ? undefined : wholeSet(node, other);
    return { removed: ITSELF, ...(added !== undefined && { added }) };
  }
  if (b.length > 1) {
    const removed = mine === undefined ? undefined : wholeSet(node, mine);
    return { added: ITSELF, ...(removed !== undefined && { removed }) };
  }
  if (mine === undefined) return other === undefined ? undefined : { added: wholeSet(node, other) };
  return other === undefined ? { removed: wholeSet(node, mine) } : compare(node, mine, other);
}

/** Every named field above a field of the set joins it. */
export function withNamedFields(set: FieldSet | undefined, node: MergeNode): FieldSet | undefined {
  if (set === undefined) return undefined;
  const out: Draft = {};
  for (const element in set) {
    const below = set[element] as FieldSet;
    if (element === SELF) {
      out[element] = below;
      continue;
    }
    const isField = element.startsWith("f:");
    const name = element.slice(2);
    const child = isField ? fieldNode(node, name) : (node.item ?? node);
    const deeper = withNamedFields(below, child) ?? ITSELF;
    out[element] = isField && node.fields.has(name) ? withSelf(deeper) : deeper;
  }
  return out;
}
