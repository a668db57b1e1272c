/**
 * Shared caches (informers): list, then watch with bookmarks; list again where the watch lost its
 * place. An event is parsed once a process, however many parts look at the kind.
 */
import { backoffMs } from "#base/backoff.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type {
  Cache,
  CacheChange,
  CacheMemory,
  Caches,
  Index,
  Sum,
  Tally,
} from "#client/cache.types.ts";
import {
  type Client,
  isGone,
  isNotFound,
  type ListQuery,
  type WatchEvent,
} from "#client/client.ts";
import { Items, newer } from "#client/items.ts";
import { type Kind, resourceOf } from "#resources/kind.ts";
import { type ApiObject, keyOf, type Stored } from "#resources/meta.ts";

export interface CachesOptions {
  client: Client;
  clock: Clock;
  log: Log;
  /** On a node: what was known is shown until the server answers. */
  memory?: CacheMemory;
}

/**
 * A watch that ended sooner than this without an event counts as failed, so that it is not spun.
 */
const WATCH_MS_MIN = 1_000;

class LiveCache<T extends ApiObject> implements Cache<T> {
  readonly #items = new Items<T>();
  /** Never changed once made: whoever goes through it goes through those who listened then. */
  #listeners: ReadonlyArray<(change: CacheChange<T>) => void> = [];
  readonly #first = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  readonly #options: CachesOptions;
  readonly #query: ListQuery;
  readonly kind: Kind<T>;
  synced = false;
  /** Everything up to this revision is in. */
  #revision = "";
  #served = true;
  /** The next turn begins with a list. */
  #relist = true;
  /** Who waits for the end of a list that has not begun yet. */
  #renewals: Array<() => void> = [];
  #turn = new AbortController();

  constructor(kind: Kind<T>, query: ListQuery, options: CachesOptions) {
    this.kind = kind;
    this.#query = query;
    this.#options = options;
  }

  get(key: string): Stored<T> | undefined {
    return this.#items.get(key);
  }

  list(namespace?: string): ReadonlyArray<Stored<T>> {
    return this.#items.list(namespace);
  }

  holds(namespace: string): boolean {
    return this.#items.holds(namespace);
  }

  indexed(index: Index<T>, value: string): ReadonlyArray<Stored<T>> {
    return this.#items.indexed(index, value);
  }

  count(namespace: string): number {
    return this.#items.count(namespace);
  }

  sums<G>(tally: Tally<T, G>, at: string): ReadonlyArray<Sum<G>> {
    return this.#items.sums(tally, at);
  }

  get position(): string {
    return this.#revision;
  }

  onChange(listener: (change: CacheChange<T>) => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== listener);
    };
  }

  seen(key: string, resourceVersion: string): boolean {
    if (this.#items.has(key, resourceVersion)) return true;
    return this.#revision !== "" && newer(this.#revision, resourceVersion) === this.#revision;
  }

  whenSynced(): Promise<void> {
    return this.#first.promise;
  }

  refresh(): boolean {
    if (this.#stop.signal.aborted || !this.#served) return false;
    if (!this.#relist) {
      this.#relist = true;
      this.#turn.abort();
    }
    return true;
  }

  renew(): Promise<void> {
    if (!this.refresh()) return Promise.resolve();
    return new Promise((done) => this.#renewals.push(done));
  }

  #renewed(waiting: ReadonlyArray<() => void>): void {
    for (const done of waiting) done();
  }

  stop(): void {
    this.#stop.abort();
    this.#turn.abort();
    this.#renewed(this.#renewals.splice(0));
  }

  /** Lists and watches until stopped. Never throws. */
  async run(): Promise<void> {
    const { clock, log } = this.#options;
    const signal = this.#stop.signal;
    this.#recallLater();
    let failures = 0;
    while (!signal.aborted) {
      const startedMs = clock.monotonic();
      let got = false;
      try {
        if (this.#relist) {
          await this.#list();
          // Who asked for one while this was under way may know of something newer.
          this.#relist = this.#renewals.length > 0;
          if (this.#relist) continue;
          got = true;
        }
        got = (await this.#watch()) || this.#relist || got;
      } catch (error) {
        if (signal.aborted) return;
        if (isGone(error)) this.#relist = true;
        // A kind that is not served has no objects: who waits for it need not wait for ever.
        if (isNotFound(error)) {
          this.#served = false;
          this.#markSynced();
          this.#renewed(this.#renewals.splice(0));
        }
        log.debug("list or watch failed", {
          resource: resourceOf(this.kind),
          error: messageOf(error),
        });
      }
      if (got || clock.monotonic() - startedMs >= WATCH_MS_MIN) failures = 0;
      const waitMs = backoffMs(failures++, limits.relistBackoffMsMin, limits.relistBackoffMsMax);
      if (!got) await sleep(clock, waitMs, signal);
    }
  }

  /** A server that does not answer in time is away: what it last told is shown. */
  #recallLater(): void {
    const { memory, clock } = this.#options;
    if (memory === undefined) return;
    const cancel = clock.after(limits.recallMs, () => this.#recall(memory));
    this.#stop.signal.addEventListener("abort", cancel, { once: true });
    void this.#first.promise.then(cancel);
  }

  #recall(memory: CacheMemory): void {
    if (this.synced) return;
    const objects = memory.load(this.#id);
    if (objects === undefined) return;
    const resource = resourceOf(this.kind);
    this.#options.log.info("the server is away: going on with what it last told", { resource });
    for (const object of objects) this.#take(keyOf(object), object as Stored<T>);
    this.#markSynced();
  }

  get #id(): string {
    return idOf(this.kind, this.#query);
  }

  #keep(): void {
    this.#options.memory?.keep(this.#id, () => this.#items.list(undefined));
  }

  async #list(): Promise<void> {
    const waiting = this.#renewals.splice(0);
    const list = await this.#options.client.list(this.kind, this.#query).catch((error) => {
      this.#renewals.push(...waiting);
      throw error;
    });
    const gone = new Set(this.#items.keys());
    for (const object of list.items) {
      const key = keyOf(object);
      gone.delete(key);
      this.#take(key, object);
    }
    for (const key of gone) this.#take(key, undefined);
    // A restored backup may go back: the list is the truth.
    this.#revision = list.resourceVersion;
    this.#keep();
    this.#markSynced();
    this.#renewed(waiting);
  }

  #markSynced(): void {
    if (this.synced) return;
    this.synced = true;
    this.#first.resolve();
  }

  /** True when the server sent anything. */
  async #watch(): Promise<boolean> {
    this.#turn = new AbortController();
    const { signal } = this.#turn;
    if (this.#stop.signal.aborted) return false;
    const query = { ...this.#query, resourceVersion: this.#revision, signal };
    let got = false;
    for await (const event of this.#options.client.watch(this.kind, query)) {
      got = true;
      this.#event(event);
    }
    return got;
  }

  #event(event: WatchEvent<T>): void {
    this.#revision = event.object.metadata.resourceVersion;
    if (event.type === "BOOKMARK") return;
    this.#take(keyOf(event.object), event.type === "DELETED" ? undefined : event.object);
    this.#keep();
  }

  #take(key: string, after: Stored<T> | undefined): void {
    // Nothing in here reads them, and they are a third of an object.
    if (after?.metadata.managedFields !== undefined) delete after.metadata.managedFields;
    const before = this.#items.get(key);
    if (before === undefined && after === undefined) return;
    const revision = before?.metadata.resourceVersion;
    if (revision !== undefined && revision === after?.metadata.resourceVersion) return;
    this.#items.set(key, after);
    for (const listener of this.#listeners) {
      try {
        listener({ key, before, after });
      } catch (error) {
        const resource = resourceOf(this.kind);
        this.#options.log.error("a listener of a cache failed", {
          resource,
          key,
          error: messageOf(error),
        });
      }
    }
  }
}

const EVERYTHING: ListQuery = {};
const METADATA: ListQuery = { metadataOnly: true };

/** Prefix of the ids of all caches of a kind. No other kind has ids with this prefix. */
const kindId = ({ group, version, plural }: Kind): string => compoundKey(group, version, plural);

const idOf = (kind: Kind, query: ListQuery): string => {
  const { namespace, labelSelector, fieldSelector, metadataOnly } = query;
  const what = metadataOnly === true ? "metadata" : undefined;
  return kindId(kind) + compoundKey(namespace, labelSelector, fieldSelector, what);
};

export function createCaches(options: CachesOptions): Caches {
  // What an id leads to has the type of its kind, which a map cannot tell.
  const open = new Map<string, unknown>();
  const ends = new Map<string, { stop(): void; renew(): Promise<void> }>();
  /** The same for caches of everything, by kind: they are asked for at every event. */
  const plain = new Map<unknown, unknown>();
  const metadata = new Map<unknown, unknown>();

  function start<T extends ApiObject>(kind: Kind<T>, query: ListQuery): Cache<T> {
    const id = idOf(kind, query);
    const known = open.get(id);
    if (known !== undefined) return known as Cache<T>;
    const made = new LiveCache<T>(kind, query, options);
    open.set(id, made);
    ends.set(id, made);
    void made.run();
    return made;
  }

  function forget(): void {
    plain.clear();
    metadata.clear();
  }

  return {
    of<T extends ApiObject>(kind: Kind<T>, query: ListQuery = EVERYTHING) {
      if (query !== EVERYTHING) return start(kind, query);
      const known = plain.get(kind);
      if (known !== undefined) return known as Cache<T>;
      const made = start(kind, query);
      plain.set(kind, made);
      return made;
    },
    metadataOf(kind) {
      const known = metadata.get(kind);
      if (known !== undefined) return known as Cache<ApiObject>;
      const made = start(kind, open.has(idOf(kind, EVERYTHING)) ? EVERYTHING : METADATA);
      metadata.set(kind, made);
      return made;
    },
    drop(kind) {
      forget();
      const prefix = kindId(kind);
      for (const [id, cache] of ends) {
        if (!id.startsWith(prefix)) continue;
        cache.stop();
        ends.delete(id);
        open.delete(id);
      }
    },
    async renew() {
      await Promise.all([...ends.values()].map((cache) => cache.renew()));
    },
    stop() {
      forget();
      for (const cache of ends.values()) cache.stop();
      ends.clear();
      open.clear();
    },
  };
}
