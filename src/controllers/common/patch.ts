/**
 * Writes as small as they can be: a merge patch of what differs, and nothing where nothing does. An
 * absent field and one that is null, empty or zero by omission are told apart only where the values
 * differ.
 */
import type { Action } from "#client/controller.ts";
import type { Kind } from "#resources/kind.ts";
import { type ApiObject, keyRef, type Ref, refKey, type Stored } from "#resources/meta.ts";
import type { Json } from "#resources/types.gen.ts";

type Fields = Record<string, unknown>;

const isMap = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function equal(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) && Array.isArray(b)) {
    return a.length === b.length && a.every((item, index) => equal(item, b[index]));
  }
  if (!isMap(a) || !isMap(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  for (const key of keys) if (!equal(a[key], b[key])) return false;
  return true;
}

/** The merge patch (RFC 7386) that makes `after` of `before`; undefined when they are the same. */
export function mergePatch(before: unknown, after: unknown): Json | undefined {
  if (equal(before, after)) return undefined;
  if (!isMap(before) || !isMap(after)) return after as Json;
  const out: { [key: string]: Json } = {};
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)])) {
    const value = after[key];
    if (value === undefined || value === null) {
      if (before[key] !== undefined && before[key] !== null) out[key] = null;
      continue;
    }
    const part = mergePatch(before[key], value);
    if (part !== undefined) out[key] = part;
  }
  return Object.keys(out).length === 0 ? undefined : out;
}

export const refOf = (object: Stored): Ref => keyRef(refKey(object.metadata));

export interface PatchOptions {
  /** Refused where the object changed since it was read: for fields that others write too. */
  guarded?: boolean;
  subresource?: string;
}

/** A merge patch of an object from the parts that change; no action where they are as they are. */
export function patchAction<T extends ApiObject>(
  kind: Kind<T>,
  object: Stored<T>,
  parts: Partial<T>,
  options: PatchOptions = {},
): Action[] {
  const before: Fields = {};
  for (const key of Object.keys(parts) as Array<keyof T & string>) before[key] = object[key];
  const body = mergePatch(before, parts);
  if (!isMap(body)) return [];
  const { uid, resourceVersion } = object.metadata;
  const metadata = isMap(body["metadata"]) ? body["metadata"] : {};
  const guard = options.guarded ? { uid, resourceVersion } : { uid };
  const { subresource } = options;
  return [
    {
      do: "patch",
      kind,
      ref: refOf(object),
      type: "merge",
      body: { ...(body as { [key: string]: Json }), metadata: { ...metadata, ...guard } as Json },
      ...(subresource !== undefined && { options: { subresource } }),
    },
  ];
}

/** The patch of a status that a controller owns alone. */
export function statusAction<T extends ApiObject & { status?: unknown }>(
  kind: Kind<T>,
  object: Stored<T>,
  status: NonNullable<T["status"]>,
  options: PatchOptions = {},
): Action[] {
  const parts: Partial<T> = { status } as Partial<T>;
  return patchAction(kind, object, parts, { ...options, subresource: "status" });
}

/** Deletes exactly this object, not a later one of its name. */
export function deleteAction(
  kind: Kind,
  object: Stored,
  more: {
    gracePeriodSeconds?: number;
    propagationPolicy?: "Background" | "Foreground" | "Orphan";
  } = {},
): Action {
  return { do: "delete", kind, ref: refOf(object), options: { uid: object.metadata.uid, ...more } };
}
