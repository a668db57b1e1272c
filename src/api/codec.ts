/**
 * How objects are stored: one JSON text that a reader gets as it is. `metadata.resourceVersion` is
 * the first field of metadata, and empty when written, so that stamping a revision is two slices
 * and no parse; `managedFields` is the last, so that the rest can be read without it.
 */
import type { Kind } from "#resources/kind.ts";
import { managersText } from "#resources/managed.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { textOfShared } from "#resources/samespec.ts";
import type { Codec, Item, Terms } from "#store/store.ts";

const MARK = '"metadata":{"resourceVersion":"';
const MANAGERS = ',"managedFields":';

/** `apps/deployments`; kinds that are stored as another share its bucket. */
export function bucketOf(kind: Pick<Kind, "group" | "plural" | "storedAs">): string {
  const group = kind.storedAs?.group ?? kind.group;
  return `${group === "" ? "core" : group}/${kind.plural}`;
}

export function storeKey(bucket: string, namespace: string | undefined, name: string): string {
  return namespace === undefined ? `${bucket}/${name}` : `${bucket}/${namespace}/${name}`;
}

/** The text to store; the object must have kind, apiVersion and metadata. Copies nothing. */
export function encodeObject(object: ApiObject): string {
  const metadata = object.metadata ?? {};
  const { resourceVersion, managedFields } = metadata;
  if (resourceVersion !== undefined) delete metadata.resourceVersion;
  if (managedFields !== undefined) delete metadata.managedFields;
  const meta = JSON.stringify(metadata);
  if (resourceVersion !== undefined) metadata.resourceVersion = resourceVersion;
  if (managedFields !== undefined) metadata.managedFields = managedFields;
  const managers = managedFields ? MANAGERS + managersText(managedFields) : "";
  const rest = meta === "{}" ? `"${managers}}` : `",${meta.slice(1, -1)}${managers}}`;
  let text = `{"kind":"${object.kind}","apiVersion":"${object.apiVersion}",${MARK}${rest}`;
  const fields = object as Record<string, unknown>;
  for (const name in fields) {
    if (name === "kind" || name === "apiVersion" || name === "metadata") continue;
    const field = fields[name];
    const value =
      typeof field === "object" && field !== null ? textOfShared(field) : JSON.stringify(field);
    if (value !== undefined) text += `,${JSON.stringify(name)}:${value}`;
  }
  return `${text}}`;
}

/** Sets the revision of a stored text, over the empty one or an older one. */
export function stampRevision(value: string, revision: number): string {
  const start = value.indexOf(MARK) + MARK.length;
  return `${value.slice(0, start)}${revision}${value.slice(value.indexOf('"', start))}`;
}

/** A text as it is before it was ever stored. */
export function withoutRevision(value: string): string {
  return value.replace(`${MARK}",`, '"metadata":{');
}

/** The metadata of a stored text but for the managers, which come last in it: a quick parse. */
export function metadataOfText(value: string): Stored["metadata"] {
  const start = value.indexOf(MARK) + MARK.indexOf("{");
  const end = value.indexOf(MANAGERS, start);
  if (end < 0) return (JSON.parse(value) as Stored).metadata;
  return JSON.parse(`${value.slice(start, end)}}`) as Stored["metadata"];
}

const parsed = new WeakMap<Item, Stored>();

/** The object of an item, parsed once and shared: never change it. */
export function peek<T extends ApiObject = ApiObject>(item: Item): Stored<T> {
  let object = parsed.get(item);
  if (object === undefined) {
    object = JSON.parse(item.value) as Stored;
    parsed.set(item, object);
  }
  return object as Stored<T>;
}

/** A copy of an item's object that belongs to the caller. */
export function decodeItem<T extends ApiObject = ApiObject>(item: Item): Stored<T> {
  return JSON.parse(item.value) as Stored<T>;
}

/** What selectors see of an object. */
export function termsOf(kind: Kind, object: ApiObject): Terms {
  const metadata = object.metadata;
  const fields = kind.fields(object);
  fields["metadata.name"] = metadata?.name ?? "";
  if (kind.namespaced) fields["metadata.namespace"] = metadata?.namespace ?? "";
  return { labels: metadata?.labels ?? {}, fields };
}

/**
 * The store's codec: kinds are found by bucket when terms are derived from a text read from disk.
 * Custom kinds are not known then; of them only names and labels are.
 */
export function createCodec(kinds: readonly Kind[]): Codec {
  const byBucket = new Map<string, Kind>();
  for (const kind of kinds) {
    if (kind.storedAs === undefined) byBucket.set(bucketOf(kind), kind);
  }
  const kindOf = (key: string): Kind | undefined =>
    byBucket.get(key.slice(0, key.indexOf("/", key.indexOf("/") + 1)));
  return {
    stamp: stampRevision,
    claims: (key, value) => kindOf(key)?.claims?.(JSON.parse(value) as ApiObject) ?? [],
    terms: (key, value) => {
      const object = JSON.parse(value) as ApiObject;
      const kind = kindOf(key);
      if (kind !== undefined) return termsOf(kind, object);
      const { name = "", namespace, labels = {} } = object.metadata ?? {};
      const fields: Record<string, string> = { "metadata.name": name };
      if (namespace !== undefined) fields["metadata.namespace"] = namespace;
      return { labels, fields };
    },
  };
}
