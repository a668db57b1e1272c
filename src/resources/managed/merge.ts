/**
 * Merging a configuration into an object, and taking fields out of one. Nothing is changed in
 * place.
 */
import { byElement, elementOf, kindFor } from "#resources/managed/diff.ts";
import { fieldNode, type MergeNode } from "#resources/managed/node.ts";
import { type FieldSet, holdsSelf } from "#resources/managed/sets.ts";
import { isObject, type JsonObject, PatchError, setMember } from "#resources/patch/values.ts";
import type { Json } from "#resources/types.gen.ts";

/** What the configuration says goes over what is live; maps and keyed lists merge. */
export function mergeInto(node: MergeNode, live: Json | undefined, config: Json): Json {
  const kind = kindFor(node, config);
  if (live === undefined || kind === "leaf" || kindFor(node, live) !== kind) return config;
  if (kind === "map") return mergeMaps(node, live as JsonObject, config as JsonObject);
  return mergeLists(node, live as Json[], config as Json[]);
}

function mergeMaps(node: MergeNode, live: JsonObject, config: JsonObject): JsonObject {
  const out: JsonObject = { ...live };
  for (const key of Object.keys(config)) {
    const current = Object.hasOwn(live, key) ? live[key] : undefined;
    setMember(out, key, mergeInto(fieldNode(node, key), current, config[key] as Json));
  }
  return out;
}

/**
 * The order of the configuration among its items, that of the live list among the others; a live
 * item keeps its place before the configured one that it stood before.
 */
function mergeLists(node: MergeNode, live: Json[], config: Json[]): Json[] {
  const item = node.item;
  if (item === undefined) return config;
  const mine = new Map(config.map((value) => [elementOf(node, value), value] as const));
  const theirs = byElement(node, live);
  const shared = [...mine.keys()].filter((element) => theirs.has(element ?? ""));
  const wanted = [...mine.keys()];
  const out: Json[] = [];
  const done = new Set<string | undefined>();
  const take = (element: string | undefined): void => {
    const values = theirs.get(element ?? "") ?? [];
    const current = values.length === 1 ? values[0] : undefined;
    out.push(mergeInto(item, current, mine.get(element) as Json));
    done.add(element);
    if (shared[0] === element) shared.shift();
  };
  let next = 0;
  let at = 0;
  while (at < live.length || next < wanted.length) {
    const element = at < live.length ? elementOf(node, live[at] as Json) : undefined;
    if (at < live.length && next < wanted.length) {
      if (element === wanted[next]) {
        take(element);
        at += 1;
        next += 1;
        continue;
      }
      if (mine.has(element) && shared.length > 0 && shared[0] !== element) {
        at += 1;
        continue;
      }
    }
    if (at < live.length && !mine.has(element)) {
      out.push(live[at] as Json);
      at += 1;
      continue;
    }
    if (at < live.length && done.has(element)) at += 1;
    if (next < wanted.length) {
      take(wanted[next]);
      next += 1;
    }
  }
  return out;
}

/** The value without the fields of the set; undefined where nothing is left of it. */
export function removeFields(
  node: MergeNode,
  value: Json,
  set: FieldSet | undefined,
): Json | undefined {
  if (set === undefined) return value;
  switch (kindFor(node, value)) {
    case "map":
      return removeFromMap(node, value as JsonObject, set);
    case "set":
    case "list":
      return removeFromList(node, value as Json[], set);
    default:
      return value;
  }
}

function removeFromMap(node: MergeNode, value: JsonObject, set: FieldSet): Json | undefined {
  const out: JsonObject = {};
  for (const key of Object.keys(value)) {
    const below = set[`f:${key}`];
    const given = value[key] as Json;
    if (below === undefined) setMember(out, key, given);
    else if (!holdsSelf(below)) {
      const rest = removeFields(fieldNode(node, key), given, below);
      if (rest !== undefined) setMember(out, key, rest);
    }
  }
  return Object.keys(out).length === 0 ? undefined : out;
}

function removeFromList(node: MergeNode, value: Json[], set: FieldSet): Json | undefined {
  const out: Json[] = [];
  for (const item of value) {
    const below = set[elementOf(node, item) ?? ""];
    if (below === undefined) out.push(item);
    else if (!holdsSelf(below) && node.item !== undefined) {
      const rest = removeFields(node.item, item, below);
      if (rest !== undefined) out.push(rest);
    }
  }
  return out.length === 0 ? undefined : out;
}

/** A configuration names each item of a list once. Throws PatchError. */
export function checkDoubles(node: MergeNode, config: Json, path = ""): void {
  const kind = kindFor(node, config);
  if (kind === "map" && isObject(config)) {
    for (const [key, child] of Object.entries(config)) {
      checkDoubles(fieldNode(node, key), child, `${path}.${key}`);
    }
  } else if (kind !== "leaf" && Array.isArray(config)) {
    const seen = new Set<string>();
    config.forEach((item, index) => {
      const element = elementOf(node, item);
      if (element === undefined) {
        throw new PatchError(400, `${path}: element ${index}: ${noKeys(node)}`);
      }
      if (seen.has(element)) {
        throw new PatchError(400, `${path}: duplicate entries for key ${element.slice(2)}`);
      }
      seen.add(element);
      checkDoubles(node.item ?? node, item, `${path}[${index}]`);
    });
  }
}

function noKeys(node: MergeNode): string {
  const keys = JSON.stringify(node.keys);
  return `associative list with keys has an element that omits all key fields ${keys}`;
}
