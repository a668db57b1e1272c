/**
 * Strategic merge patch: maps merge, and lists merge by a key where the schema says so. The
 * directives `$patch`, `$retainKeys`, `$setElementOrder/…` and `$deleteFromPrimitiveList/…` steer
 * it.
 * https://kubernetes.io/docs/tasks/manage-kubernetes-objects/update-api-object-kubectl-patch/
 */
import { type MergedList, mergeLists, orderLike } from "#resources/patch/lists.ts";
import {
  goText,
  isObject,
  type JsonObject,
  member,
  PatchError,
  setMember,
  shallow,
} from "#resources/patch/values.ts";
import { resolve, type Schema } from "#resources/schema.ts";
import type { Json } from "#resources/types.gen.ts";

const DELETE_FROM = "$deleteFromPrimitiveList/";
const SET_ORDER = "$setElementOrder/";
const RETAIN = "$retainKeys";

/** What the schema says of one field. */
interface Field {
  readonly strategy: string;
  readonly mergeKey: string | undefined;
  /** Of the map, or of the list's items. */
  readonly schema: Schema;
}

function fieldOf(schema: Schema, key: string): Field {
  const properties = schema.properties;
  const known = properties !== undefined && Object.hasOwn(properties, key);
  const node = known ? (properties[key] ?? {}) : additional(schema);
  const strategies = (node["x-kubernetes-patch-strategy"] ?? "").split(",");
  const resolved = resolve(node);
  return {
    strategy: strategies.find((name) => name !== "retainKeys") ?? "",
    mergeKey: node["x-kubernetes-patch-merge-key"],
    schema: resolved.items === undefined ? resolved : resolve(resolved.items),
  };
}

const additional = (schema: Schema): Schema =>
  typeof schema.additionalProperties === "object" ? schema.additionalProperties : {};

/** Throws PatchError; never changes its arguments. */
export function applyStrategicPatch(doc: Json, patch: Json, schema: Schema): Json {
  if (!isObject(patch)) throw new PatchError(400, "error decoding patch: it is no object");
  return mergeMaps(isObject(doc) ? doc : {}, patch, resolve(schema));
}

function mergeMaps(original: JsonObject, patch: JsonObject, schema: Schema): JsonObject {
  const directive = member(patch, "$patch");
  if (directive !== undefined) return directed(directive, patch);
  const out = shallow(original);
  retainKeys(out, patch);
  const done = new Set<string>([RETAIN]);
  for (const key of Object.keys(patch)) {
    if (!key.startsWith(SET_ORDER)) continue;
    done.add(key);
    const field = key.slice(SET_ORDER.length);
    if (mergeOrdered(out, patch, field, patch[key] as Json, schema)) done.add(field);
  }
  for (const key of Object.keys(patch)) {
    if (done.has(key)) continue;
    if (key.startsWith(DELETE_FROM)) deleteFrom(out, key, patch[key] as Json);
    else mergeField(out, key, patch[key] as Json, schema);
  }
  return out;
}

/** A map that says of itself what to do with the whole of it. */
function directed(directive: Json, patch: JsonObject): JsonObject {
  if (directive === "delete") return {};
  if (directive === "replace") {
    const { $patch: _, ...rest } = patch;
    return withoutDirectives(rest) as JsonObject;
  }
  const text = `unknown patch type: ${goText(directive)} in map: ${goText(patch)}`;
  throw new PatchError(422, text);
}

function mergeField(out: JsonObject, key: string, value: Json, schema: Schema): void {
  if (value === null) {
    delete out[key];
    return;
  }
  const current = member(out, key);
  if (isObject(current) && isObject(value)) {
    const field = fieldOf(schema, key);
    const replaced = field.strategy === "replace";
    setMember(
      out,
      key,
      replaced ? withoutDirectives(value) : mergeMaps(current, value, field.schema),
    );
  } else if (Array.isArray(current) && Array.isArray(value)) {
    setMember(out, key, mergeListField(current, value, fieldOf(schema, key)).items);
  } else if (isObject(value) && Object.hasOwn(value, "$patch")) {
    delete out[key];
  } else {
    setMember(out, key, withoutDirectives(value));
  }
}

function mergeListField(current: Json[], value: Json[], field: Field): MergedList {
  if (field.strategy !== "merge") {
    return { items: withoutDirectives(value) as Json[], live: current };
  }
  return mergeLists(current, value, {
    mergeKey: field.mergeKey,
    mergeItems: (a, b) => mergeMaps(a, b, field.schema),
    clean: withoutDirectives,
  });
}

/** `$retainKeys`: only these members stay, and the patch may set no other. */
function retainKeys(out: JsonObject, patch: JsonObject): void {
  const directive = member(patch, RETAIN);
  if (directive === undefined) return;
  if (!Array.isArray(directive)) throw new PatchError(400, "invalid patch format of retainKeys");
  const kept = new Set(directive);
  for (const key of Object.keys(patch)) {
    if (key === RETAIN || patch[key] === null) continue;
    if (key.startsWith(DELETE_FROM) || key.startsWith(SET_ORDER) || kept.has(key)) continue;
    throw new PatchError(400, "invalid patch format of retainKeys");
  }
  for (const key of Object.keys(out)) if (!kept.has(key)) delete out[key];
}

function deleteFrom(out: JsonObject, key: string, value: Json): void {
  if (!Array.isArray(value)) throw new PatchError(400, "invalid patch format of primitive list");
  const field = key.slice(DELETE_FROM.length);
  const current = member(out, field);
  if (!Array.isArray(current)) return;
  const gone = new Set(value);
  setMember(
    out,
    field,
    current.filter((item) => !gone.has(item)),
  );
}

/** Merges a list that comes with its order; false where neither side has the list. */
function mergeOrdered(
  out: JsonObject,
  patch: JsonObject,
  key: string,
  directive: Json,
  schema: Schema,
): boolean {
  const current = member(out, key);
  const value = member(patch, key);
  const lists = [directive, current ?? [], value ?? []];
  if (value === null) return false;
  if (!lists.every(Array.isArray)) {
    throw new PatchError(400, "invalid patch format of setElementOrder list");
  }
  if (current === undefined && value === undefined) return false;
  const [wanted, live, given] = lists as [Json[], Json[], Json[]];
  const field = fieldOf(schema, key);
  let merged: MergedList = { items: live, live };
  if (current === undefined) merged = { items: withoutDirectives(given) as Json[], live };
  else if (value !== undefined) merged = mergeListField(live, given, field);
  const order = { wanted, given, live: merged.live, mergeKey: field.mergeKey };
  setMember(out, key, orderLike(merged.items, order));
  return true;
}

/** What a patch says of a value that was not there: its directives have nothing to work on. */
function withoutDirectives(value: Json): Json {
  if (Array.isArray(value)) {
    const kept = value.filter((item) => !isObject(item) || !Object.hasOwn(item, "$patch"));
    return kept.map(withoutDirectives);
  }
  if (!isObject(value)) return value;
  const out: JsonObject = {};
  for (const key of Object.keys(value)) {
    const child = value[key] as Json;
    if (child === null || key === RETAIN || key.startsWith(DELETE_FROM)) continue;
    if (key.startsWith(SET_ORDER) || (isObject(child) && Object.hasOwn(child, "$patch"))) continue;
    setMember(out, key, withoutDirectives(child));
  }
  return out;
}
