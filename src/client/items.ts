/** The objects of one cache, by key, namespace and index. Synchronous: no network, no clock. */
import type { Index, Sum, Tally } from "#client/cache.types.ts";
import { Tallies } from "#client/tally.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

/** One index: value -> key -> object. */
type Buckets<T extends ApiObject> = Map<string, Map<string, Stored<T>>>;

const NOTHING: readonly never[] = [];

/** True when revision `a` is not older than `b`. Revisions are decimal numbers (KEP-5504). */
function reached(a: string, b: string): boolean {
  if (a.length !== b.length) return a.length > b.length;
  return a >= b;
}

export class Items<T extends ApiObject> {
  readonly #byKey = new Map<string, Stored<T>>();
  readonly #byNamespace: Buckets<T> = new Map();
  readonly #indexes = new Map<Index<T>, Buckets<T>>();
  readonly #tallies = new Tallies<T>();
  /** Arrays handed out by `list`, until the next change; key "" for all. */
  readonly #lists = new Map<string, ReadonlyArray<Stored<T>>>();

  get size(): number {
    return this.#byKey.size;
  }

  keys(): IterableIterator<string> {
    return this.#byKey.keys();
  }

  get(key: string): Stored<T> | undefined {
    return this.#byKey.get(key);
  }

  list(namespace: string | undefined): ReadonlyArray<Stored<T>> {
    const name = namespace ?? "";
    const known = this.#lists.get(name);
    if (known !== undefined) return known;
    const from = namespace === undefined ? this.#byKey : this.#byNamespace.get(namespace);
    const made = from === undefined ? NOTHING : [...from.values()];
    if (made !== NOTHING) this.#lists.set(name, made);
    return made;
  }

  /** Whether there is anything in the namespace. */
  holds(namespace: string): boolean {
    return this.#byNamespace.has(namespace);
  }

  count(namespace: string): number {
    return this.#byNamespace.get(namespace)?.size ?? 0;
  }

  sums<G>(tally: Tally<T, G>, at: string): ReadonlyArray<Sum<G>> {
    return this.#tallies.of(tally, at, this.#byKey.values());
  }

  indexed(index: Index<T>, value: string): ReadonlyArray<Stored<T>> {
    let buckets = this.#indexes.get(index);
    if (buckets === undefined) {
      buckets = new Map();
      for (const [key, object] of this.#byKey) {
        for (const at of index.values(object)) put(buckets, at, key, object);
      }
      this.#indexes.set(index, buckets);
    }
    const found = buckets.get(value);
    return found === undefined ? NOTHING : [...found.values()];
  }

  /** Puts the object, or takes the key away. Answers what stood there before. */
  set(key: string, after: Stored<T> | undefined): Stored<T> | undefined {
    const before = this.#byKey.get(key);
    if (after === undefined) this.#byKey.delete(key);
    else this.#byKey.set(key, after);
    this.#reindex(key, before, after);
    this.#tallies.change(before, after);
    return before;
  }

  /** The object is there at this revision or a newer one. */
  has(key: string, resourceVersion: string): boolean {
    const found = this.#byKey.get(key)?.metadata.resourceVersion;
    return found !== undefined && reached(found, resourceVersion);
  }

  #reindex(key: string, before: Stored<T> | undefined, after: Stored<T> | undefined): void {
    const namespace = (after ?? before)?.metadata.namespace;
    this.#lists.delete("");
    if (namespace !== undefined) {
      this.#lists.delete(namespace);
      if (after === undefined) drop(this.#byNamespace, namespace, key);
      else put(this.#byNamespace, namespace, key, after);
    }
    for (const [index, buckets] of this.#indexes) {
      if (before !== undefined) for (const at of index.values(before)) drop(buckets, at, key);
      if (after !== undefined) for (const at of index.values(after)) put(buckets, at, key, after);
    }
  }
}

function put<T extends ApiObject>(into: Buckets<T>, at: string, key: string, object: Stored<T>) {
  const bucket = into.get(at);
  if (bucket === undefined) into.set(at, new Map([[key, object]]));
  else bucket.set(key, object);
}

function drop<T extends ApiObject>(from: Buckets<T>, at: string, key: string): void {
  const bucket = from.get(at);
  bucket?.delete(key);
  if (bucket?.size === 0) from.delete(at);
}

/** The newer of two revisions; an empty one is the oldest. */
export function newer(a: string, b: string): string {
  return reached(a, b) ? a : b;
}
