/**
 * Objects of items for the parts of this process: made once for all who look at the kind, as a
 * write left them or by a parse. Whoever gets one shares it and never changes it.
 */

import { metadataOfText } from "#api/codec.ts";
import { inVersion } from "#api/read.ts";
import type { Resource } from "#api/registry.ts";
import { keepNewest } from "#base/bounded.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { Item } from "#store/store.ts";

/** Changes reach all watchers of a kind at once: so many objects serve all but oddities. */
const RECENT_MAX = 64;

export class Views {
  readonly #recent = new Map<Item, { resource: Resource; object: Stored }>();

  /** Without managedFields: nothing in this process reads them. */
  whole(resource: Resource, item: Item): Stored {
    const known = this.#recent.get(item);
    if (known?.resource === resource) return known.object;
    const object = inVersion(resource, item);
    delete object.metadata.managedFields;
    this.#keep(item, resource, object);
    return object;
  }

  /** Only apiVersion, kind and metadata; parses no more than it has to. */
  metadata(resource: Resource, item: Item): Stored {
    const { kind, apiVersion } = resource;
    const converted = kind.storedAs !== undefined || resource.convert !== undefined;
    const metadata = converted
      ? this.whole(resource, item).metadata
      : (this.#recent.get(item)?.object.metadata ?? metadataOfText(item.value));
    return { kind: kind.kind, apiVersion, metadata } as Stored;
  }

  /**
   * The item was written from this object, which the writer gives away: news of it need not parse
   * what was just put into text.
   */
  wrote(resource: Resource, item: Item, object: ApiObject): void {
    if (resource.custom || resource.kind.storedAs !== undefined) return;
    const stored = object as Stored;
    stored.metadata.resourceVersion = String(item.revision);
    delete stored.metadata.managedFields;
    this.#keep(item, resource, stored);
  }

  #keep(item: Item, resource: Resource, object: Stored): void {
    this.#recent.set(item, { resource, object });
    keepNewest(this.#recent, RECENT_MAX);
  }
}
