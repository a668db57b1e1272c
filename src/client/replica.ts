/** What caches of another thread show, fed with their changes. Synchronous but for the waiting. */
import type { CacheChange, Index, Shown, ShownCaches } from "#client/cache.types.ts";
import { Items } from "#client/items.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

/** Changes of one kind; `services`, `ingresses.networking.k8s.io`. Can be posted. */
export interface Portion {
  resource: string;
  /** By key; undefined: it is gone. */
  changes: ReadonlyArray<readonly [key: string, after: Stored<ApiObject> | undefined]>;
  /** All that there was at first has been fed by now. */
  synced: boolean;
}

class ReplicaCache<T extends ApiObject> implements Shown<T> {
  readonly #items = new Items<T>();
  readonly #listeners = new Set<(change: CacheChange<T>) => void>();
  readonly #first = Promise.withResolvers<void>();
  synced = false;

  get(key: string): Stored<T> | undefined {
    return this.#items.get(key);
  }

  list(namespace?: string): ReadonlyArray<Stored<T>> {
    return this.#items.list(namespace);
  }

  indexed(index: Index<T>, value: string): ReadonlyArray<Stored<T>> {
    return this.#items.indexed(index, value);
  }

  onChange(listener: (change: CacheChange<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  whenSynced(): Promise<void> {
    return this.#first.promise;
  }

  take({ changes, synced }: Portion): void {
    for (const [key, object] of changes) {
      // The portion names the kind.
      const after = object as Stored<T> | undefined;
      const before = this.#items.set(key, after);
      for (const listener of [...this.#listeners]) listener({ key, before, after });
    }
    if (!synced || this.synced) return;
    this.synced = true;
    this.#first.resolve();
  }
}

/** One cache a kind, whatever the query: which objects there are is for who feeds it to say. */
export class Replica implements ShownCaches {
  readonly #open = new Map<string, ReplicaCache<ApiObject>>();

  of<T extends ApiObject>(kind: Kind<T>): Shown<T> {
    return this.#of(resourceOf(kind)) as Shown<ApiObject> as Shown<T>;
  }

  take(portion: Portion): void {
    this.#of(portion.resource).take(portion);
  }

  #of(resource: string): ReplicaCache<ApiObject> {
    const known = this.#open.get(resource) ?? new ReplicaCache<ApiObject>();
    this.#open.set(resource, known);
    return known;
  }
}
