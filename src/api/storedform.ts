/** Between the version of a request and the one that is stored. */
import { decodeItem } from "#api/codec.ts";
import { itemIn, objectIn } from "#api/custom/convert.ts";
import { cloneJson } from "#api/json.ts";
import type { Resource } from "#api/registry.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { Item } from "#store/store.ts";

/**
 * A request's object as it is to be stored. @throws ApiError 500 where a webhook cannot convert it.
 */
export async function toStored(resource: Resource, object: ApiObject): Promise<ApiObject> {
  const { storedAs } = resource.kind;
  if (storedAs === undefined) return object;
  const { kind, apiVersion } = resource.stored;
  const stored = storedAs.toStored(await objectIn(resource.stored, object));
  return { ...stored, kind: kind.kind, apiVersion };
}

function fromStored(resource: Resource, object: Stored): Stored {
  const { storedAs } = resource.kind;
  if (storedAs === undefined && !resource.custom) return object;
  const { kind, apiVersion } = resource;
  const converted = storedAs?.fromStored(object) ?? object;
  return { ...converted, kind: kind.kind, apiVersion } as Stored;
}

export interface Live {
  /** In the stored version; not to be changed. */
  readonly old: Stored;
  /** A copy in the version of the request. */
  read(): Stored;
}

/** What stands, as an update needs it. @throws ApiError 500 where a webhook cannot convert it. */
export async function liveOf(requested: Resource, live: Item): Promise<Live> {
  if (requested.convert === undefined) {
    const old = decodeItem(live);
    return { old, read: () => fromStored(requested, cloneJson(old)) };
  }
  const old = decodeItem(await itemIn(requested.stored, live));
  const view = await itemIn(requested, live);
  return { old, read: () => decodeItem(view) };
}
