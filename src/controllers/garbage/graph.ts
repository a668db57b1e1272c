/** Who owns whom, across all kinds, from the caches of their metadata. */
import type { Caches, Index } from "#client/cache.types.ts";
import { contentKinds } from "#controllers/common/content.ts";
import type { Dependent, OwnerIs } from "#controllers/garbage/plan.ts";
import { FOREGROUND } from "#controllers/garbage/plan.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import { type ApiObject, keyOf, refKey, type Stored } from "#resources/meta.ts";
import type { OwnerReference } from "#resources/types.gen.ts";

/** Objects by the uid of each of their owners. */
const byOwner: Index<ApiObject> = {
  name: "owner",
  values: ({ metadata }) => (metadata.ownerReferences ?? []).map(({ uid }) => uid),
};

const graphs = new WeakMap<readonly Kind[], readonly Kind[]>();

/** Kinds that own and are owned. Events are too many and own nothing: they end by time. */
export function graphKinds(caches: Caches): readonly Kind[] {
  const all = contentKinds(caches);
  let graph = graphs.get(all);
  if (graph === undefined) {
    graph = all.filter(({ kind, group }) => kind !== "Event" || group !== "");
    graphs.set(all, graph);
  }
  return graph;
}

export const idOf = (kind: Kind, key: string): string => `${resourceOf(kind)}|${key}`;

export function parseId(id: string, caches: Caches): { kind: Kind; key: string } | undefined {
  // A name may contain the separator, a resource may not.
  const end = id.indexOf("|");
  const resource = id.slice(0, end);
  const key = id.slice(end + 1);
  const kind = graphKinds(caches).find((one) => resourceOf(one) === resource);
  return kind === undefined ? undefined : { kind, key };
}

export function dependentsOf(uid: string, caches: Caches): Dependent[] {
  const found: Dependent[] = [];
  for (const kind of graphKinds(caches)) {
    for (const object of caches.metadataOf(kind).indexed(byOwner, uid))
      found.push({ kind, object });
  }
  return found;
}

const groupOf = (apiVersion: string): string =>
  apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";

/** Where the owner of an object must be. Undefined where the reference can mean nothing. */
export function ownerPlace(
  ref: OwnerReference,
  dependentKind: Kind,
  namespace: string | undefined,
  caches: Caches,
): { kind: Kind; key: string } | undefined {
  const group = groupOf(ref.apiVersion);
  const kind = graphKinds(caches).find((one) => one.group === group && one.kind === ref.kind);
  // An owner in a namespace owns in that namespace only, and nothing of the whole cluster.
  if (kind === undefined || (kind.namespaced && !dependentKind.namespaced)) return undefined;
  return {
    kind,
    key: refKey({ namespace: kind.namespaced ? namespace : undefined, name: ref.name }),
  };
}

/** What an owner's metadata say of a reference to it. */
export function stateOf(owner: Stored | undefined, ref: OwnerReference): OwnerIs {
  if (owner === undefined || owner.metadata.uid !== ref.uid) return "absent";
  const waits =
    owner.metadata.deletionTimestamp !== undefined &&
    owner.metadata.finalizers?.includes(FOREGROUND) === true &&
    ref.blockOwnerDeletion === true;
  return waits ? "waiting" : "present";
}

/** Being deleted, and held by somebody. */
const isMarked = (object: Stored | undefined): boolean =>
  object?.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length > 0;

/** Ids of what must be looked at because of an object as it is, or as it was when it is gone. */
export function concerned(kind: Kind, object: Stored, caches: Caches): string[] {
  const { metadata } = object;
  const key = keyOf(object);
  const gone = caches.metadataOf(kind).get(key)?.metadata.uid !== metadata.uid;
  const marked = isMarked(object);
  const owned = (metadata.ownerReferences ?? []).length > 0;
  const out: string[] = [];
  if (!gone && (marked || owned)) out.push(idOf(kind, key));
  if (gone || marked) {
    for (const one of dependentsOf(metadata.uid, caches))
      out.push(idOf(one.kind, keyOf(one.object)));
  }
  for (const ref of metadata.ownerReferences ?? []) {
    const place = ownerPlace(ref, kind, metadata.namespace, caches);
    if (place === undefined) continue;
    // An owner that waits may wait for this one no more: its reference changed.
    const waits = (): boolean => isMarked(caches.metadataOf(place.kind).get(place.key));
    if (gone || waits()) out.push(idOf(place.kind, place.key));
  }
  return out;
}
