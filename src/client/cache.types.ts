/**
 * The contract of the shared caches (informers). One cache a kind and selector, for all parts of a
 * process.
 */
import type { Kind } from "#resources/kind.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

export interface CacheChange<T extends ApiObject> {
  readonly key: string;
  readonly before: Stored<T> | undefined;
  readonly after: Stored<T> | undefined;
}

/** Objects are shared: never change them. */
export interface Cache<T extends ApiObject> {
  /** By `namespace/name`, or the name of a cluster-scoped object. */
  get(key: string): Stored<T> | undefined;
  /** All, or those of one namespace. */
  list(namespace?: string): ReadonlyArray<Stored<T>>;
  /** Whether there is anything in the namespace. */
  holds(namespace: string): boolean;
  /**
   * Objects whose index function answered `value`. The index is made on first use and then kept.
   */
  indexed(index: Index<T>, value: string): ReadonlyArray<Stored<T>>;
  /** How many objects there are in the namespace; nobody is gone through. */
  count(namespace: string): number;
  /**
   * Running sums of the groups that objects with this `at` are in; kept from first use on, so that
   * a change costs the same however many objects there are.
   */
  sums<G>(tally: Tally<T, G>, at: string): ReadonlyArray<Sum<G>>;
  /** Everything up to this resourceVersion is in; empty where it is not known. */
  readonly position: string;
  /** Called after the cache took the change. Returns its own end. */
  onChange(listener: (change: CacheChange<T>) => void): () => void;
  /** True once the cache shows a write that was answered with this resourceVersion. */
  seen(key: string, resourceVersion: string): boolean;
  /** True once the first list is in. */
  readonly synced: boolean;
  whenSynced(): Promise<void>;
  /**
   * It is behind: it lists again instead of waiting for its watch. False where it never will, as it
   * was stopped or its kind is served no more.
   */
  refresh(): boolean;
  /**
   * Lists again. Resolves once the cache shows a list that was asked for after this call, or once
   * it is clear that none comes any more (stopped, not served).
   */
  renew(): Promise<void>;
}

/** What of a cache can be shown elsewhere, as in another thread. */
export type Shown<T extends ApiObject> = Pick<
  Cache<T>,
  "get" | "list" | "indexed" | "onChange" | "synced" | "whenSynced"
>;

export interface ShownCaches {
  of<T extends ApiObject>(
    kind: Kind<T>,
    query?: { fieldSelector?: string; labelSelector?: string; namespace?: string },
  ): Shown<T>;
}

/** One object of this type is one index: declare it once, at module level. */
export interface Index<T extends ApiObject> {
  readonly name: string;
  values(object: Stored<T>): readonly string[];
}

/**
 * What is summed up of each object, in groups. One object of this type is one set of running sums:
 * declare it once, at module level.
 */
export interface Tally<T extends ApiObject, G> {
  readonly name: string;
  /** Always the same for the same object; `group` is compared by its JSON. */
  share(object: Stored<T>): {
    readonly at: string;
    readonly group: G;
    readonly amounts: Readonly<Record<string, number>>;
  };
}

export interface Sum<G> {
  readonly group: G;
  readonly objects: number;
  /** In 10^-9 units of the amounts. */
  readonly amounts: ReadonlyMap<string, bigint>;
}

export interface Caches {
  /** Starts the cache on first use. */
  of<T extends ApiObject>(
    kind: Kind<T>,
    query?: { fieldSelector?: string; labelSelector?: string; namespace?: string },
  ): Cache<T>;
  /**
   * Objects of a kind of which only apiVersion, kind and metadata are sure: the full cache where
   * there is one, else a cache of metadata. Known to the garbage collector, which needs every kind.
   */
  metadataOf(kind: Kind): Cache<ApiObject>;
  /** Stops and forgets the caches of a kind that is served no more. */
  drop(kind: Kind): void;
  /** Resolves once every cache that is open now was renewed. */
  renew(): Promise<void>;
  stop(): void;
}

/** Where the caches of a node keep what they show, for a start without the server. */
export interface CacheMemory {
  /** What the cache with this id held when it was last kept. */
  load(id: string): ReadonlyArray<Stored<ApiObject>> | undefined;
  /** The cache changed; `objects` answers what it holds when it is asked. */
  keep(id: string, objects: () => ReadonlyArray<ApiObject>): void;
}
