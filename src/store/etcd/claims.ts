/**
 * Names that only one key may hold, as addresses and ports of Services: each is a key of its own
 * whose value is the holder. It is taken and let go in the transaction that writes its holder, so
 * that two servers cannot give out the same one.
 */
import type { Guard, KeyValue, PutInput, WatchEvent } from "#store/etcd/messages.ts";
import type { Codec, Item } from "#store/store.ts";

/** After the place's key: a migration that clears all that comes after it clears these too. */
export const CLAIMS = ".taken/";

/** Comparisons of one transaction; etcd takes 128, and one is the place's. */
const COMPARES_MAX = 120;

/** What the transaction of a write does beside it; names, without the store's prefix. */
export interface Claiming {
  readonly takes: readonly string[];
  readonly drops: readonly string[];
  /** What another key holds, and this one does not have yet. */
  readonly refused: readonly string[];
}

/** Claims of objects that were written without; they hold while the objects are as they were. */
export interface Late {
  readonly objects: Guard[];
  readonly claims: PutInput[];
}

const NONE: Claiming = { takes: [], drops: [], refused: [] };

export class Claims {
  readonly #namesOf: (key: string, value: string) => readonly string[];
  /** Who holds a name. */
  readonly #holders = new Map<string, string>();

  constructor(codec: Codec) {
    this.#namesOf = (key, value) => codec.claims?.(key, value) ?? [];
  }

  /** Begins anew with what is found under the prefix. */
  load(found: Iterable<KeyValue>, prefix: string): void {
    this.#holders.clear();
    for (const item of found) this.heard({ type: "put", item }, prefix);
  }

  heard({ type, item }: WatchEvent, prefix: string): void {
    if (!item.key.startsWith(CLAIMS, prefix.length)) return;
    const name = item.key.slice(prefix.length + CLAIMS.length);
    if (type === "delete") this.#holders.delete(name);
    else this.#holders.set(name, item.value);
  }

  /**
   * For a write of `key` where `before` stands. What it held already it keeps, also where another
   * one has the claim: from before there were any.
   */
  plan(key: string, before: Item | undefined, value: string | undefined): Claiming {
    const held = before === undefined ? [] : this.#namesOf(key, before.value);
    const wanted = value === undefined ? [] : this.#namesOf(key, value);
    if (held.length === 0 && wanted.length === 0) return NONE;
    const isOthers = (name: string): boolean => (this.#holders.get(name) ?? key) !== key;
    return {
      refused: wanted.filter((name) => isOthers(name) && !held.includes(name)),
      takes: wanted.filter((name) => !this.#holders.has(name)),
      drops: held.filter((name) => !wanted.includes(name) && this.#holders.get(name) === key),
    };
  }

  /** Claims that are missing, in portions for one transaction each. `revision` is etcd's own. */
  *missing(items: Iterable<Item>, revision: (item: Item) => number): Generator<Late> {
    const chosen = new Set<string>();
    let late: Late = { objects: [], claims: [] };
    for (const item of items) {
      const names = this.#namesOf(item.key, item.value).filter(
        (name) => !this.#holders.has(name) && !chosen.has(name),
      );
      if (names.length === 0) continue;
      if (late.objects.length + late.claims.length + names.length >= COMPARES_MAX) {
        yield late;
        late = { objects: [], claims: [] };
      }
      late.objects.push({ key: item.key, revision: revision(item) });
      for (const name of names) {
        chosen.add(name);
        late.claims.push({ key: CLAIMS + name, value: item.key });
      }
    }
    if (late.objects.length > 0) yield late;
  }
}
