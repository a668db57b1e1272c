/**
 * The entries of metadata.managedFields: who is who, and how they are kept in order and in bounds.
 */
import { limits } from "#base/limits.ts";
import { type FieldSet, isFieldSet, union } from "#resources/managed/sets.ts";
import type { Json, ManagedFieldsEntry } from "#resources/types.gen.ts";

export interface Manager {
  readonly name: string;
  readonly operation: "Apply" | "Update";
  readonly apiVersion: string;
  readonly subresource: string;
}

/** One manager with its fields; those without fields are not kept. */
export interface Owner extends Manager {
  readonly fields: FieldSet;
  readonly time: string | undefined;
}

/** The same manager as far as managers are told apart: appliers are so in every version. */
export function isSame(a: Manager, b: Manager): boolean {
  return (
    a.name === b.name &&
    a.operation === b.operation &&
    a.subresource === b.subresource &&
    (a.operation === "Apply" || a.apiVersion === b.apiVersion)
  );
}

/** Undefined where an entry cannot be read: then none of them counts. */
export function ownersOf(entries: readonly ManagedFieldsEntry[]): Owner[] | undefined {
  const owners: Owner[] = [];
  for (const entry of entries) {
    const { manager, operation, apiVersion, fieldsType, fieldsV1, subresource, time } = entry;
    if (operation !== "Apply" && operation !== "Update") return undefined;
    if (!apiVersion || fieldsType !== "FieldsV1") return undefined;
    const fields: unknown = fieldsV1 ?? {};
    if (!isFieldSet(fields)) return undefined;
    const name = manager ?? "";
    owners.push({ name, operation, apiVersion, subresource: subresource ?? "", fields, time });
  }
  return owners;
}

const secondsOf = (owner: Owner): string => owner.time ?? "";

function byAge(a: Owner, b: Owner): number {
  return (
    compareTexts(a.operation, b.operation) ||
    compareTexts(secondsOf(a), secondsOf(b)) ||
    compareTexts(a.name, b.name) ||
    compareTexts(a.apiVersion, b.apiVersion) ||
    compareTexts(a.subresource, b.subresource)
  );
}

const compareTexts = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Appliers first, then by age, as Kubernetes lists them. */
export function entriesOf(owners: readonly Owner[]): ManagedFieldsEntry[] {
  const sorted = owners.length > 1 ? [...owners].sort(byAge) : owners;
  return sorted.map(({ name, operation, apiVersion, subresource, time, fields }) => ({
    manager: name,
    operation,
    apiVersion,
    ...(time !== undefined && { time }),
    fieldsType: "FieldsV1",
    fieldsV1: fields as Json,
    ...(subresource !== "" && { subresource }),
  }));
}

const ANCIENT = "ancient-changes";

/** Too many managers by update: the oldest of each version become one. */
export function capped(owners: readonly Owner[]): readonly Owner[] {
  const updaters = owners.filter((owner) => owner.operation === "Update");
  let surplus = updaters.length - limits.updateManagersMax;
  if (surplus <= 0) return owners;
  updaters.sort((a, b) => compareTexts(secondsOf(a), secondsOf(b)) || compareTexts(a.name, b.name));
  const gone = new Set<Owner>();
  const buckets = new Map<string, { first: Owner; merged?: Owner }>();
  for (const owner of updaters) {
    if (surplus <= 0) break;
    const bucket = buckets.get(owner.apiVersion);
    if (bucket === undefined) {
      buckets.set(owner.apiVersion, { first: owner });
      continue;
    }
    const before = bucket.merged ?? bucket.first;
    const fields = union(owner.fields, before.fields) ?? owner.fields;
    bucket.merged = { ...owner, name: ANCIENT, subresource: "", fields };
    gone.add(owner).add(bucket.first);
    surplus -= 1;
  }
  const merged = [...buckets.values()].flatMap((bucket) => bucket.merged ?? []);
  return [...owners.filter((owner) => !gone.has(owner)), ...merged];
}
