/**
 * Group commit: writes that queued up become one transaction and one asynchronous sync; writes that
 * arrive meanwhile form the next batch. Knows rows and durability, not what readers see.
 */
import { assert } from "#base/assert.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Disk, Row } from "#store/disk.ts";
import { StorageError } from "#store/store.ts";

/** A write on its way, and the revision that it gets. */
export interface Pending {
  readonly row: Row;
  readonly revision: number;
}

export interface CommitOptions<P extends Pending> {
  readonly disk: Disk;
  readonly log: Log;
  /** These are on the disk, in the order in which they were queued. */
  readonly onCommitted: (batch: readonly P[]) => void;
  /** None of these was written; nothing is queued any more. */
  readonly onFailed: (queued: readonly P[], error: StorageError) => void;
  /** The write's row as readers see it now. */
  readonly visible: (pending: P) => Row;
}

export class CommitLoop<P extends Pending> {
  readonly #options: CommitOptions<P>;
  #queue: P[] = [];
  #batch: P[] = [];
  /**
   * Rows that the disk does not have as readers see them: lazy writes, and what a sync left open.
   */
  readonly #dirty = new Map<number, Row>();
  #running: Promise<void> | undefined;
  #flushing: Array<PromiseWithResolvers<void>> = [];
  /** Where the log's way to the database file is; commits wait only for its end. */
  #tidy: "none" | "copying" | "copied" = "none";
  #copying: Promise<void> | undefined;
  #ceiling: number;

  constructor(options: CommitOptions<P>) {
    this.#options = options;
    this.#ceiling = options.disk.ceiling;
  }

  get length(): number {
    return this.#queue.length + this.#batch.length;
  }

  /** Rows that wait for the next commit. */
  get dirty(): number {
    return this.#dirty.size;
  }

  /**
   * A write with this revision may be shown before it is durable: a crash cannot give it out twice.
   */
  reserved(revision: number): boolean {
    return revision <= this.#ceiling;
  }

  enqueue(pending: P): void {
    this.#queue.push(pending);
    this.#start();
  }

  /** The row rides along with the next commit. */
  postpone(row: Row): void {
    assert(this.length === 0, "nothing is overtaken");
    this.#dirty.set(row.id, row);
  }

  /** Resolves when all that is queued or postponed now is durable. */
  flush(): Promise<void> {
    if (this.length === 0 && this.#dirty.size === 0) return Promise.resolve();
    const done = Promise.withResolvers<void>();
    this.#flushing.push(done);
    this.#start();
    return done.promise;
  }

  /** Flushes, then takes back what is left of the reserved revisions: `revision` is the newest. */
  async close(revision: number): Promise<void> {
    try {
      await this.flush();
      await this.#copying;
      await this.#running;
      await this.#giveBack(revision);
    } finally {
      this.#options.disk.close();
    }
  }

  /** On a full disk they stay reserved: the next start leaves them out. */
  async #giveBack(revision: number): Promise<void> {
    try {
      this.#options.disk.commit([], revision);
      await this.#options.disk.sync();
    } catch (error) {
      if (!(error instanceof StorageError)) throw error;
      this.#options.log.warn("reserved revisions are left out", { error: error.message });
    }
  }

  #start(): void {
    if (this.#running !== undefined) return;
    // The end of this turn of the event loop: what the other requests of the turn write joins.
    this.#running = new Promise<void>((resolve) => setImmediate(resolve))
      .then(() => this.#run())
      .finally(() => {
        this.#running = undefined;
        if (this.#hasWork()) this.#start();
      });
  }

  #hasWork(): boolean {
    return this.#queue.length > 0 || this.#flushing.length > 0 || this.#tidy === "copied";
  }

  async #run(): Promise<void> {
    while (this.#hasWork()) {
      if (this.#tidy === "copied") await this.#endLog();
      if (this.#queue.length === 0 && this.#flushing.length === 0) return;
      this.#batch = this.#queue.splice(0, limits.storeBatchMax);
      const flushing = this.#queue.length === 0 ? this.#flushing.splice(0) : [];
      try {
        await this.#write(this.#batch);
      } catch (error) {
        this.#fail(error, flushing);
        return;
      }
      const batch = this.#batch;
      this.#batch = [];
      this.#options.onCommitted(batch);
      for (const done of flushing) done.resolve();
      if (this.#tidy === "none" && this.#options.disk.wantsTidy()) this.#copyLog();
    }
  }

  async #write(batch: readonly P[]): Promise<void> {
    const { disk, visible } = this.#options;
    const dirty = new Map(this.#dirty);
    const rows = new Map(dirty);
    for (const { row } of batch) rows.set(row.id, row);
    const newest = batch.at(-1)?.revision ?? 0;
    const block = limits.storeRevisionBlock;
    const ceiling = newest + block / 2 > this.#ceiling ? newest + block : this.#ceiling;
    disk.commit(rows.values(), ceiling);
    try {
      if (disk.damaged) disk.mend();
      else await disk.sync();
    } catch (error) {
      for (const pending of batch) this.#dirty.set(pending.row.id, visible(pending));
      throw error;
    }
    this.#ceiling = ceiling;
    // Lazy writes may have come while a flush without a batch was under way.
    for (const [id, row] of dirty) if (this.#dirty.get(id) === row) this.#dirty.delete(id);
  }

  /** What was queued was checked against writes that failed, so all of it fails. */
  #fail(error: unknown, flushing: ReadonlyArray<PromiseWithResolvers<void>>): void {
    const failed = [...this.#batch, ...this.#queue];
    this.#batch = [];
    this.#queue = [];
    const reason =
      error instanceof StorageError ? error : new StorageError(messageOf(error), { cause: error });
    this.#options.log.error("the datastore refused a write", {
      error: reason.message,
      writes: failed.length,
    });
    this.#options.onFailed(failed, reason);
    for (const done of [...flushing, ...this.#flushing.splice(0)]) done.reject(reason);
  }

  #copyLog(): void {
    this.#tidy = "copying";
    this.#copying = this.#options.disk.copyLog().then(
      () => {
        this.#tidy = "copied";
        this.#start();
      },
      (error) => this.#untidy(error),
    );
  }

  async #endLog(): Promise<void> {
    try {
      await this.#options.disk.endLog();
      this.#tidy = "none";
    } catch (error) {
      this.#untidy(error);
    }
  }

  /** A log that cannot be moved now only grows; the writes in it are safe. */
  #untidy(error: unknown): void {
    this.#tidy = "none";
    const reason = messageOf(error);
    this.#options.log.warn("the datastore's log could not be moved", { error: reason });
  }
}
