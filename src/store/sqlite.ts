/**
 * The datastore of one server: SQLite for durability, memory for readers. Writes are checked
 * against the newest queued state, shown and acknowledged once durable. Leaves to others: what
 * values mean.
 */
import { assert } from "#base/assert.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { CommitLoop, type Pending } from "#store/commit.ts";
import { type Disk, openDisk, type Row } from "#store/disk.ts";
import type { Entry } from "#store/objects.ts";
import * as contract from "#store/store.ts";
import { View, type ViewLimits } from "#store/view.ts";

type Item = contract.Item;

export interface SqliteStoreOptions {
  /** A file, or `:memory:`. */
  readonly path: string;
  readonly codec: contract.Codec;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<StoreLimits>;
  /** The disk itself, so that a test can let it fail. */
  readonly openDisk?: (path: string) => Disk;
}

export interface StoreLimits extends ViewLimits {
  readonly storeQueueMax: number;
  readonly lazyFlushMsMax: number;
  readonly lazyPendingMax: number;
}

/** A write that was let in: what it changes, and who waits for it. */
interface Operation extends Pending {
  readonly change: contract.Change;
  readonly settle: PromiseWithResolvers<Item>;
  /** Losers of the race against this write: they are told once it is decided. */
  conflicts?: Array<PromiseWithResolvers<Item>>;
}

class SqliteStore implements contract.Store {
  readonly #options: SqliteStoreOptions;
  readonly #limits: StoreLimits;
  readonly #view: View;
  readonly #loop: CommitLoop<Operation>;
  /** The newest operation of each key that is not visible yet. */
  readonly #pending = new Map<string, Operation>();
  /** The newest revision given out; those of failed writes are not used again. */
  #assigned: number;
  #cancelLazy: Cancel | undefined;
  #closed = false;

  constructor(options: SqliteStoreOptions, disk: Disk) {
    this.#options = options;
    this.#limits = { ...limits, ...options.limits };
    this.#view = new View(this.#limits, options);
    this.#view.load(stored(disk, options), disk.ceiling);
    this.#assigned = disk.ceiling;
    this.#loop = new CommitLoop<Operation>({
      disk,
      log: options.log,
      visible: ({ row, change }) => this.#visibleRow(row.id, change.item.key),
      onCommitted: (batch) => this.#committed(batch),
      onFailed: (queued, error) => this.#failed(queued, error),
    });
  }

  revision(): number {
    return this.#view.revision;
  }

  async get(key: string): Promise<Item | undefined> {
    return this.known(key);
  }

  known(key: string): Item | undefined {
    this.#assertOpen();
    return this.#view.get(key)?.item;
  }

  async list(options: contract.ListOptions): Promise<contract.Page> {
    this.#assertOpen();
    return this.#view.list(options);
  }

  count(prefix: string): number {
    return this.#view.count(prefix);
  }

  write(write: contract.Write): Promise<Item> {
    const settle = Promise.withResolvers<Item>();
    if (this.#closed) {
      settle.reject(new Error("the datastore is closed"));
      return settle.promise;
    }
    const pending = this.#pending.get(write.key);
    const before = pending === undefined ? this.#view.get(write.key) : entryAfter(pending);
    if ((before?.item.revision ?? 0) !== write.expect) {
      this.#conflict(write.key, pending, settle);
    } else if (this.#loop.length >= this.#limits.storeQueueMax) {
      settle.reject(new contract.BusyError("too many writes are waiting for the disk"));
    } else {
      this.#admit(write, before, settle);
    }
    return settle.promise;
  }

  watch(options: contract.WatchOptions): contract.Watch {
    this.#assertOpen();
    return this.#view.watch(options);
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    this.#view.compact(revision);
  }

  historyBytes(): number {
    return this.#view.historyBytes;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelLazy?.();
    try {
      await this.#loop.close(this.#assigned);
    } finally {
      this.#view.endWatches(new Error("the datastore closed"));
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error("the datastore is closed");
  }

  /**
   * The loser of a race hears of it only when the winner is durable: it would read the old state.
   */
  #conflict(key: string, pending: Operation | undefined, settle: PromiseWithResolvers<Item>): void {
    if (pending === undefined) {
      settle.reject(new contract.ConflictError(key, this.#view.get(key)?.item));
    } else {
      pending.conflicts ??= [];
      pending.conflicts.push(settle);
    }
  }

  #admit(
    write: contract.Write,
    before: Entry | undefined,
    settle: PromiseWithResolvers<Item>,
  ): void {
    const operation = this.#operation(write, before, settle);
    const lazy =
      write.durability === "lazy" &&
      this.#loop.length === 0 &&
      this.#loop.reserved(operation.revision) &&
      this.#loop.dirty < this.#limits.lazyPendingMax;
    if (lazy) {
      this.#loop.postpone(operation.row);
      this.#show([operation]);
      this.#scheduleLazy();
    } else {
      this.#pending.set(write.key, operation);
      this.#loop.enqueue(operation);
    }
  }

  #operation(
    write: contract.Write,
    before: Entry | undefined,
    settle: PromiseWithResolvers<Item>,
  ): Operation {
    const { key, value } = write;
    const revision = ++this.#assigned;
    const previous = before?.item;
    assert(value !== undefined || previous !== undefined, `delete of ${key}, which is not there`);
    const { codec } = this.#options;
    const text = codec.stamp(value ?? previous?.value ?? "", revision);
    const terms = write.terms ?? (value === undefined ? previous?.terms : undefined);
    const item: Item = { key, value: text, revision, terms: terms ?? codec.terms(key, text) };
    const type = value === undefined ? "delete" : "put";
    return {
      row: { id: before?.id ?? revision, item: type === "put" ? item : undefined },
      revision,
      change: { type, revision, item, ...(previous && { previous }) },
      settle,
    };
  }

  #visibleRow(id: number, key: string): Row {
    const entry = this.#view.get(key);
    return { id, item: entry?.id === id ? entry.item : undefined };
  }

  #committed(batch: readonly Operation[]): void {
    for (const operation of batch) this.#settled(operation);
    this.#show(batch);
    for (const { conflicts, change } of batch) {
      const current = this.#view.get(change.item.key)?.item;
      for (const loser of conflicts ?? []) {
        loser.reject(new contract.ConflictError(change.item.key, current));
      }
    }
    if (this.#loop.dirty === 0) {
      this.#cancelLazy?.();
      this.#cancelLazy = undefined;
    }
  }

  #failed(queued: readonly Operation[], error: contract.StorageError): void {
    for (const operation of queued) {
      this.#settled(operation);
      operation.settle.reject(error);
      for (const loser of operation.conflicts ?? []) loser.reject(error);
    }
    if (this.#loop.dirty > 0) this.#scheduleLazy();
  }

  #settled(operation: Operation): void {
    const key = operation.change.item.key;
    if (this.#pending.get(key) === operation) this.#pending.delete(key);
  }

  /** From here on readers see these operations. */
  #show(operations: readonly Operation[]): void {
    const changes: contract.Change[] = [];
    for (const { row, change, settle } of operations) {
      assert(change.revision > this.#view.revision, "revisions go up");
      this.#view.apply(change, row.id);
      this.#view.reach(change.revision);
      changes.push(change);
      settle.resolve(change.item);
    }
    this.#view.publish(changes);
  }

  #scheduleLazy(): void {
    if (this.#cancelLazy !== undefined || this.#closed) return;
    this.#cancelLazy = this.#options.clock.after(this.#limits.lazyFlushMsMax, () => {
      this.#cancelLazy = undefined;
      this.#loop.flush().catch((error: unknown) => {
        this.#options.log.warn("lazy writes stay in memory", { error: messageOf(error) });
      });
    });
  }
}

/** What a key holds once this operation is through. */
function entryAfter({ row, change }: Operation): Entry | undefined {
  return row.item === undefined ? undefined : { id: row.id, item: change.item };
}

function* stored(disk: Disk, { codec }: SqliteStoreOptions): Generator<Entry> {
  for (const { id, key, revision, value } of disk.load()) {
    yield { id, item: { key, value, revision, terms: codec.terms(key, value) } };
  }
}

/** Opens the datastore; OperatorError when the file is not usable. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<contract.Store> {
  const disk = (options.openDisk ?? openDisk)(options.path);
  return new SqliteStore(options, disk);
}
