/**
 * What readers of a datastore see, in memory: objects, the newest changes, who watches, and the
 * revision that all of it is at. Both datastores answer from it; how changes come about is theirs.
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { Fanout } from "#store/fanout.ts";
import { History } from "#store/history.ts";
import { type Entry, Objects } from "#store/objects.ts";
import { page } from "#store/page.ts";
import { Selections } from "#store/selections.ts";
import {
  type Change,
  FutureRevisionError,
  GoneError,
  type ListOptions,
  type Page,
  type Watch,
  type WatchOptions,
} from "#store/store.ts";

export interface ViewLimits {
  readonly watchHistoryEventsMax: number;
  readonly watchHistoryBytesMax: number;
}

export class View {
  readonly #limits: ViewLimits;
  readonly #fanout: Fanout;
  #objects = new Objects();
  #selections = new Selections();
  #history: History;
  #revision: number;

  constructor(limits: ViewLimits, { log, clock }: { log: Log; clock: Clock }) {
    this.#limits = limits;
    this.#fanout = new Fanout(log, clock);
    this.#revision = 0;
    this.#history = this.#emptyHistory();
  }

  get revision(): number {
    return this.#revision;
  }

  /** Begins anew with this state; nothing is known of what was before. */
  load(entries: Iterable<Entry>, revision: number): void {
    this.#objects = new Objects();
    this.#selections = new Selections();
    this.#objects.load(entries);
    this.#revision = revision;
    this.#history = this.#emptyHistory();
  }

  get(key: string): Entry | undefined {
    return this.#objects.get(key);
  }

  count(prefix: string): number {
    const range = this.#objects.range(prefix);
    return range.end - range.start;
  }

  /** @throws GoneError for a revision that is not known any more, or not yet. */
  list(options: ListOptions): Page {
    const revision = options.revision ?? this.#revision;
    this.#assertKnown(revision);
    const items = revision === this.#revision ? this.#remembered(options) : undefined;
    if (items !== undefined) return { items, revision };
    return page(options, revision, this.#objects, this.#history);
  }

  /** A list of now, not in pages, by a filter that has a name or by none. */
  #remembered({ prefix, filter, filterName, after, limit }: ListOptions) {
    const name = filter === undefined ? "" : filterName;
    if (name === undefined) return undefined;
    if (after !== undefined || limit !== undefined) return undefined;
    const asked = { prefix, filter, name };
    return this.#selections.list(asked, this.#revision, this.#objects, this.#history);
  }

  /** @throws as `list`. */
  watch(options: WatchOptions): Watch {
    this.#assertKnown(options.after);
    const backlog = this.#history.after(options.after, options.prefix);
    return this.#fanout.add(options, this.#revision, backlog);
  }

  /** @throws FutureRevisionError. */
  compact(revision: number): void {
    if (revision > this.#revision) throw new FutureRevisionError(revision, this.#revision);
    this.#history.compact(revision);
    this.#selections.forgetBefore(this.#history.floor);
  }

  get historyBytes(): number {
    return this.#history.bytes;
  }

  /** One more change; `id` is its row's. Readers see it, watchers are told by `publish`. */
  apply(change: Change, id: number): void {
    if (change.type === "put") this.#objects.put(id, change.item);
    else this.#objects.delete(change.item.key);
    this.#history.push(change);
    this.#selections.forgetBefore(this.#history.floor);
  }

  /** All changes up to this revision were applied. */
  reach(revision: number): void {
    if (revision > this.#revision) this.#revision = revision;
  }

  publish(changes: readonly Change[]): void {
    this.#fanout.publish(changes);
  }

  /** A key's first change after a revision; undefined: there is none, or it is not known any more. */
  firstChange(key: string, revision: number): Change | undefined {
    if (revision < this.#history.floor) return undefined;
    return this.#history.after(revision, key).find(({ item }) => item.key === key);
  }

  /** Ends all watches; new ones may begin. */
  endWatches(reason: Error): void {
    this.#fanout.close(reason);
  }

  #emptyHistory(): History {
    const { watchHistoryEventsMax: eventsMax, watchHistoryBytesMax: bytesMax } = this.#limits;
    return new History(this.#revision, { eventsMax, bytesMax });
  }

  #assertKnown(revision: number): void {
    if (revision > this.#revision) throw new FutureRevisionError(revision, this.#revision);
    if (revision < this.#history.floor) {
      throw new GoneError(
        `revision ${revision} is too old, the history begins at ${this.#history.floor}`,
      );
    }
  }
}
