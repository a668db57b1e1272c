/** Server-side apply: merge, take away what the applier no longer wants, and find conflicts. */
import { compare, configuredSet, createdSet, withNamedFields } from "#resources/managed/diff.ts";
import {
  entriesOf,
  isSame,
  type Manager,
  type Owner,
  ownersOf,
} from "#resources/managed/entries.ts";
import { allowedConflicts, refreshLastApplied } from "#resources/managed/lastapplied.ts";
import { checkDoubles, mergeInto, removeFields } from "#resources/managed/merge.ts";
import { fullNodeOf, type MergeNode, mergeNodeOf } from "#resources/managed/node.ts";
import {
  difference,
  type FieldSet,
  intersection,
  pathsOf,
  union,
  without,
} from "#resources/managed/sets.ts";
import type { ApiObject } from "#resources/meta.ts";
import { type JsonObject, PatchError } from "#resources/patch/values.ts";
import type { Schema } from "#resources/schema.ts";
import type { Json } from "#resources/types.gen.ts";

export interface ApplyRequest {
  /** Absent where the object is to be created. */
  readonly live?: ApiObject | undefined;
  readonly applied: ApiObject;
  readonly manager: string;
  readonly force: boolean;
  readonly schema: Schema;
  /** RFC 3339 with whole seconds. */
  readonly time: string;
  readonly apiVersion: string;
  readonly subresource?: string;
  /** Top-level fields that this way of writing cannot set, as `status`. */
  readonly ignore?: readonly string[];
}

export interface Conflict {
  /** As a message names it: `"kubectl-edit" using apps/v1`. */
  readonly manager: string;
  /** As `.spec.replicas`. */
  readonly field: string;
}

export interface Applied {
  /** With its managedFields; the live object itself where nothing changed at all. */
  readonly object: ApiObject;
  /** Not empty only without force: then nothing may be written. */
  readonly conflicts: Conflict[];
}

/** What an object had before anybody applied to it. */
const BEFORE = "before-first-apply";

/** Throws PatchError 400 where the configuration is none. Changes none of its arguments. */
export function applyTo(request: ApplyRequest): Applied {
  const { applied, schema, apiVersion, subresource = "" } = request;
  if (applied.metadata?.managedFields !== undefined) {
    throw new PatchError(400, "metadata.managedFields must be nil");
  }
  const node = mergeNodeOf(schema);
  const config = applied as JsonObject;
  checkDoubles(node, config);
  const { live, owners } = liveOf(request, node);
  const name = request.manager;
  const self: Manager = { name, operation: "Apply", apiVersion, subresource };
  const last = owners.find((owner) => isSame(owner, self));
  const set = without(configuredSet(node, config), request.ignore);
  const others = owners.filter((owner) => owner !== last);
  const merged = mergeInto(node, live, withoutTop(config, request.ignore)) as JsonObject;
  const next = prune(node, merged, config, { last, set, others });
  const change = compare(node, live, next) ?? {};
  const changed = without(union(change.added, change.modified), request.ignore);
  const conflicts = request.force ? [] : conflictsOf(request, node, others, changed);
  if (conflicts.length > 0) return { object: request.live ?? applied, conflicts };
  const lost = union(changed, without(change.removed, request.ignore));
  const after: Owner[] = [];
  for (const owner of others) {
    const fields = difference(owner.fields, lost);
    if (fields !== undefined) after.push(fields === owner.fields ? owner : { ...owner, fields });
  }
  const isNoop = Object.keys(change).length === 0;
  const time = isNoop && last !== undefined ? last.time : request.time;
  if (set !== undefined) after.push({ ...self, fields: set, time });
  return { object: withManagers(request, next, after), conflicts: [] };
}

function liveOf(request: ApplyRequest, node: MergeNode): { live: JsonObject; owners: Owner[] } {
  const { live } = request;
  if (live === undefined) return { live: identityOf(request.applied), owners: [] };
  const { managedFields = [], ...metadata } = live.metadata ?? {};
  const bare = { ...live, metadata: metadata as Json } as JsonObject;
  const owners = ownersOf(managedFields) ?? [];
  if (owners.length > 0) return { live: bare, owners };
  const fields = without(createdSet(node, bare), request.ignore);
  if (fields === undefined) return { live: bare, owners };
  const before: Owner = {
    name: BEFORE,
    operation: "Update",
    apiVersion: request.apiVersion,
    subresource: request.subresource ?? "",
    fields,
    time: request.time,
  };
  return { live: bare, owners: [before] };
}

const identityOf = ({ apiVersion, kind }: ApiObject): JsonObject => ({
  ...(apiVersion !== undefined && { apiVersion }),
  ...(kind !== undefined && { kind }),
});

function withoutTop(config: JsonObject, names: readonly string[] | undefined): JsonObject {
  if (names === undefined || names.length === 0) return config;
  return Object.fromEntries(Object.entries(config).filter(([key]) => !names.includes(key)));
}

/**
 * Takes away what this applier set the last time and does not now, unless somebody else claims it,
 * or it holds something that was never the applier's.
 */
function prune(
  node: MergeNode,
  merged: JsonObject,
  config: JsonObject,
  about: { last: Owner | undefined; set: FieldSet | undefined; others: readonly Owner[] },
): JsonObject {
  const last = about.last?.fields;
  const others = about.others.reduce<FieldSet | undefined>(
    (sum, owner) => union(sum, owner.fields),
    undefined,
  );
  if (difference(last, union(others, about.set)) === undefined) return merged;
  const full = fullNodeOf(node);
  const named = (set: FieldSet | undefined) => withNamedFields(set, full);
  const fieldsOf = (value: Json) => configuredSet(full, value);
  const cut = (set: FieldSet | undefined) => (removeFields(full, merged, set) ?? {}) as JsonObject;
  const owned = union(others, union(about.set, fieldsOf(config)));
  const all = named(fieldsOf(merged));
  const first = cut(named(last));
  const kept = union(named(fieldsOf(first)), named(owned));
  const second = cut(difference(all, kept));
  const gone = difference(all, named(fieldsOf(second)));
  return cut(intersection(gone, named(last)));
}

function conflictsOf(
  request: ApplyRequest,
  node: MergeNode,
  others: readonly Owner[],
  changed: FieldSet | undefined,
): Conflict[] {
  const allowed = allowedConflicts(request, node);
  const inOrder = [...others].sort((a, b) => (identifierOf(a) < identifierOf(b) ? -1 : 1));
  return inOrder.flatMap((owner) => {
    const fields = difference(intersection(owner.fields, changed), allowed);
    return pathsOf(fields).map((field) => ({ manager: managerText(owner), field }));
  });
}

function managerText(owner: Owner): string {
  const name = JSON.stringify(owner.name);
  const through = owner.subresource === "" ? "" : ` with subresource "${owner.subresource}"`;
  return `${name}${through}${owner.operation === "Update" ? ` using ${owner.apiVersion}` : ""}`;
}

/** What Kubernetes sorts managers by. */
function identifierOf({ name, operation, apiVersion, subresource }: Owner): string {
  const version = operation === "Update" && { apiVersion };
  return JSON.stringify({
    manager: name,
    operation,
    ...version,
    ...(subresource && { subresource }),
  });
}

/** In the words of Kubernetes. */
export function conflictMessage(conflicts: readonly Conflict[]): string {
  const [first] = conflicts;
  if (first !== undefined && conflicts.length === 1) {
    return `Apply failed with 1 conflict: conflict with ${first.manager}: ${first.field}`;
  }
  const managers = [...new Set(conflicts.map((conflict) => conflict.manager))];
  const lines = managers.flatMap((manager) => [
    `conflicts with ${manager}:`,
    ...conflicts.filter((c) => c.manager === manager).map((c) => `- ${c.field}`),
  ]);
  return `Apply failed with ${conflicts.length} conflicts: ${lines.join("\n")}`;
}

function withManagers(request: ApplyRequest, object: JsonObject, owners: Owner[]): ApiObject {
  const metadata = { ...(object["metadata"] as JsonObject | undefined) };
  const managedFields = entriesOf(owners);
  const result = { ...object, metadata: { ...metadata, managedFields } } as ApiObject;
  if (managedFields.length === 0) delete result.metadata?.managedFields;
  return refreshLastApplied(request, result);
}
