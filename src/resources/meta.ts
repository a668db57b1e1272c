/** What every object of the API has in common. */
import type { ObjectMeta, OwnerReference } from "#resources/types.gen.ts";

export interface ApiObject {
  apiVersion?: string;
  kind?: string;
  metadata?: ObjectMeta;
}

export interface StoredMeta extends ObjectMeta {
  name: string;
  uid: string;
  resourceVersion: string;
  creationTimestamp: string;
}

/** An object as the API answers it. */
export type Stored<T extends ApiObject = ApiObject> = T & { metadata: StoredMeta };

/** Where an object is: without a namespace for cluster-scoped kinds. */
export interface Ref {
  namespace?: string;
  name: string;
}

/** `namespace/name`, or the name alone: the key of caches and work queues. */
export function refKey(ref: { namespace?: string | undefined; name: string }): string {
  return ref.namespace ? `${ref.namespace}/${ref.name}` : ref.name;
}

export function keyRef(key: string): Ref {
  const slash = key.indexOf("/");
  if (slash < 0) return { name: key };
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

/** The key of a stored object. */
export function keyOf(object: { metadata: { namespace?: string; name: string } }): string {
  return refKey(object.metadata);
}

export function controllerOf(object: ApiObject): OwnerReference | undefined {
  return object.metadata?.ownerReferences?.find((owner) => owner.controller === true);
}
