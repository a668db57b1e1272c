/**
 * Feeds a replica in another thread with what caches show: all at first, then what changed. One
 * message is under way at a time, and the newest state of each object waits for the next one, so
 * that a slow reader costs no more than the objects themselves.
 */
import { limits } from "#base/limits.ts";
import type { Shown } from "#client/cache.types.ts";
import type { Portion } from "#client/replica.ts";
import { type ApiObject, keyOf, type Stored } from "#resources/meta.ts";

/** One kind to feed. */
export interface Source {
  resource: string;
  cache: Shown<ApiObject>;
  /** Of all that the cache has, what is fed. Default: all. */
  has?: (key: string) => boolean;
}

interface Kept {
  readonly changes: Map<string, Stored<ApiObject> | undefined>;
  synced: boolean;
}

export class Feed {
  readonly #send: (portions: readonly Portion[]) => Promise<void>;
  readonly #waiting = new Map<string, Kept>();
  readonly #ends: Array<() => void> = [];
  #sending: Promise<void> | undefined;
  #isOver = false;

  /** `send` resolves once the replica has them; rejects when it is gone. */
  constructor(sources: readonly Source[], send: (portions: readonly Portion[]) => Promise<void>) {
    this.#send = send;
    for (const source of sources) this.#follow(source);
  }

  /** Resolves once all that changed before the call was sent and taken, or the feed is over. */
  async flushed(): Promise<void> {
    while (this.#sending !== undefined) await this.#sending;
  }

  stop(): void {
    this.#isOver = true;
    this.#waiting.clear();
    for (const end of this.#ends) end();
  }

  #follow({ resource, cache, has = () => true }: Source): void {
    for (const object of cache.list()) {
      this.#add(resource, keyOf(object), object, has);
    }
    this.#ends.push(cache.onChange(({ key, after }) => this.#add(resource, key, after, has)));
    void cache.whenSynced().then(() => {
      this.#of(resource).synced = true;
      this.#poke();
    });
  }

  #add(
    resource: string,
    key: string,
    after: Stored<ApiObject> | undefined,
    has: (key: string) => boolean,
  ): void {
    if (!has(key)) return;
    this.#of(resource).changes.set(key, after);
    this.#poke();
  }

  #of(resource: string): Kept {
    const known = this.#waiting.get(resource) ?? { changes: new Map(), synced: false };
    this.#waiting.set(resource, known);
    return known;
  }

  #poke(): void {
    if (this.#isOver) return;
    this.#sending ??= this.#work();
  }

  async #work(): Promise<void> {
    // What comes in the same turn goes together.
    await Promise.resolve();
    while (this.#waiting.size > 0) await this.#send(this.#next()).catch(() => this.stop());
    this.#sending = undefined;
  }

  /** At most so many objects that copying them holds up nobody. */
  #next(): Portion[] {
    const portions: Portion[] = [];
    let left: number = limits.threadObjectsMax;
    for (const [resource, { changes, synced }] of this.#waiting) {
      if (left === 0) break;
      const some = [...changes].slice(0, left);
      for (const [key] of some) changes.delete(key);
      left -= some.length;
      const isAll = changes.size === 0;
      if (isAll) this.#waiting.delete(resource);
      portions.push({ resource, changes: some, synced: isAll && synced });
    }
    return portions;
  }
}
