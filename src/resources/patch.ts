/**
 * The patches of the API: JSON patch (RFC 6902), JSON merge patch (RFC 7386) and Kubernetes'
 * strategic merge patch. All of them throw PatchError and never change their arguments; the result
 * may share values with them. Server-side apply is in `managed.ts`.
 */

import {
  isObject,
  type JsonObject,
  member,
  PatchError,
  setMember,
  shallow,
  withoutNulls,
} from "#resources/patch/values.ts";
import type { Json } from "#resources/types.gen.ts";

export { applyJsonPatch } from "#resources/patch/jsonpatch.ts";
export { applyStrategicPatch } from "#resources/patch/strategic.ts";
export { PatchError } from "#resources/patch/values.ts";

/** RFC 7386 for two objects: null takes a member away, an object merges, all else replaces. */
export function applyMergePatch(doc: Json, patch: Json): Json {
  if (!isObject(patch)) throw new PatchError(400, "Invalid JSON Patch");
  return merge(isObject(doc) ? doc : {}, patch);
}

function merge(doc: JsonObject, patch: JsonObject): JsonObject {
  const out = shallow(doc);
  for (const key of Object.keys(patch)) {
    const value = patch[key] as Json;
    if (value === null) {
      delete out[key];
      continue;
    }
    const current = member(out, key);
    if (isObject(current) && isObject(value)) setMember(out, key, merge(current, value));
    else setMember(out, key, withoutNulls(value));
  }
  return out;
}
