/**
 * Who set which field: `metadata.managedFields`, and server-side apply on top of it. Pure.
 * https://kubernetes.io/docs/reference/using-api/server-side-apply/
 */
import { applyTo } from "#resources/managed/apply.ts";
import { newObjectSet } from "#resources/managed/created.ts";
import { compare, type Difference } from "#resources/managed/diff.ts";
import {
  capped,
  entriesOf,
  isSame,
  type Manager,
  type Owner,
  ownersOf,
} from "#resources/managed/entries.ts";
import { mergeNodeOf } from "#resources/managed/node.ts";
import { difference, type FieldSet, union, without } from "#resources/managed/sets.ts";
import type { ApiObject } from "#resources/meta.ts";
import type { JsonObject } from "#resources/patch/values.ts";
import type { Schema } from "#resources/schema.ts";
import type { ManagedFieldsEntry } from "#resources/types.gen.ts";

export {
  type Applied,
  type ApplyRequest,
  type Conflict,
  conflictMessage,
} from "#resources/managed/apply.ts";
export { managersText } from "#resources/managed/created.ts";

export interface UpdateRequest {
  /** Absent on create. */
  readonly before?: ApiObject;
  /** What will be stored, with the managedFields that the client sent, if any. */
  readonly after: ApiObject;
  readonly manager: string;
  readonly operation: "Update";
  readonly subresource?: string;
  readonly schema: Schema;
  /** RFC 3339 with whole seconds. */
  readonly time: string;
  readonly apiVersion: string;
  /** Top-level fields that this way of writing cannot set, as `status`. */
  readonly ignore?: readonly string[];
  /** For internal writers at a high rate: what others own is kept, and nothing is added. */
  readonly skip?: boolean;
}

/** The managers after a create or an update; empty where nobody is tracked. Changes nothing. */
export function trackUpdate(request: UpdateRequest): ManagedFieldsEntry[] {
  const { before, after, subresource = "", schema, ignore } = request;
  const given = after.metadata?.managedFields;
  const live = before?.metadata?.managedFields ?? [];
  if (request.skip === true) return live;
  if (before === undefined && given === undefined) return broughtAlong(request);
  const isReset = subresource === "" && given !== undefined && isResetOf(given);
  const entries = isReset ? [] : entriesFor(given, live, subresource);
  // An object that was never tracked is tracked from its first apply on.
  if (before !== undefined && entries.length === 0) return [];
  const node = mergeNodeOf(schema);
  const change: Difference | undefined =
    before === undefined
      ? asAdded(newObjectSet(node, after as JsonObject))
      : compare(node, before as JsonObject, after as JsonObject);
  if (change === undefined) return entries;
  const set = without(union(change.added, change.modified), ignore);
  const removed = without(change.removed, ignore);
  const owners = entries.length === 0 ? [] : (ownersOf(entries) ?? []);
  if (set === undefined && removed === undefined) return entries;
  return entriesOf(capped(retrack(owners, request, set, removed)));
}

/** A new object that came without managers has one: who creates it. */
function broughtAlong(request: UpdateRequest): ManagedFieldsEntry[] {
  const { after, schema, ignore, time } = request;
  const fields = without(newObjectSet(mergeNodeOf(schema), after as JsonObject), ignore);
  return fields === undefined ? [] : entriesOf([{ ...selfOf(request), fields, time }]);
}

const asAdded = (added: FieldSet | undefined): Difference | undefined =>
  added === undefined ? undefined : { added };

/** An empty list, or one entry with nothing in it, asks to forget all managers. */
function isResetOf(entries: readonly ManagedFieldsEntry[]): boolean {
  const [first, second] = entries;
  if (first === undefined) return true;
  return second === undefined && Object.keys(first).length === 0;
}

/** Clients may edit the managers themselves, but not through a subresource nor into nonsense. */
function entriesFor(
  given: ManagedFieldsEntry[] | undefined,
  live: ManagedFieldsEntry[],
  subresource: string,
): ManagedFieldsEntry[] {
  if (subresource !== "" || given === undefined || given === live) return readable(live);
  return given.length > 0 && ownersOf(given) !== undefined ? given : readable(live);
}

const readable = (entries: ManagedFieldsEntry[]): ManagedFieldsEntry[] =>
  entries.length === 0 || ownersOf(entries) !== undefined ? entries : [];

const selfOf = (request: UpdateRequest): Manager => ({
  name: request.manager,
  operation: request.operation,
  apiVersion: request.apiVersion,
  subresource: request.subresource ?? "",
});

function retrack(
  owners: readonly Owner[],
  request: UpdateRequest,
  set: FieldSet | undefined,
  removed: FieldSet | undefined,
): Owner[] {
  const self = selfOf(request);
  const lost = union(set, removed);
  const next: Owner[] = [];
  let found = false;
  for (const owner of owners) {
    let fields = difference(owner.fields, lost);
    let { time } = owner;
    if (isSame(owner, self)) {
      found = true;
      if (set !== undefined) {
        fields = union(set, fields);
        time = request.time;
      }
    }
    if (fields === undefined) continue;
    next.push(fields === owner.fields && time === owner.time ? owner : { ...owner, fields, time });
  }
  if (!found && set !== undefined) next.push({ ...self, fields: set, time: request.time });
  return next;
}

/** Applies a configuration; see `applyTo`. */
export const applyServerSide = applyTo;
