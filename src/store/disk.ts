/**
 * The only SQL. One table of rows, found by number: the keys' index is in memory, so a write
 * touches one page and no index. The log (`-wal`) is synced by us, asynchronously: SQLite's own
 * sync would hold the event loop, on an SD card for up to a second.
 */
import { Database, type Statement } from "bun:sqlite";
import { closeSync, fdatasync, fdatasyncSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf, OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { type Migrations, migrate } from "#store/migrate.ts";
import { type Item, StorageError } from "#store/store.ts";

/** The state that a row shall have: without an item it goes. */
export interface Row {
  readonly id: number;
  readonly item: Item | undefined;
}

export interface StoredRow {
  readonly id: number;
  readonly key: string;
  readonly revision: number;
  readonly value: string;
}

export interface Disk {
  /** No revision above this one was ever given out. */
  readonly ceiling: number;
  /** A sync failed: what is on the disk is unknown, and only `mend` makes it known again. */
  readonly damaged: boolean;
  load(): Iterable<StoredRow>;
  /** Applies all rows or none (StorageError). Durable when the next `sync` or `mend` is through. */
  commit(rows: Iterable<Row>, ceiling: number): void;
  /** Resolves when all that was committed is on the disk; StorageError: the disk is damaged. */
  sync(): Promise<void>;
  /** Moves all that was committed to where it is safe, or throws StorageError. Blocks. */
  mend(): void;
  /**
   * Writes the file anew and empties the log, so that nothing stays of overwritten values.
   * Blocks; for the time before the store is used.
   */
  scrub(): void;
  /** True when the log is long enough to be moved to the database file. */
  wantsTidy(): boolean;
  /** Moves what the log has now; commits go on meanwhile. After a sync. */
  copyLog(): Promise<void>;
  /** Moves the little that came meanwhile and lets the log begin anew. No commit may run. */
  endLog(): Promise<void>;
  /** After the last commit was synced. */
  close(): void;
}

/**
 * What makes each format of the one before. `user_version` holds a file's format; SCHEMA makes the
 * newest one, and a newer file is refused.
 */
const MIGRATIONS: Migrations = [];
/** Rows between two looks at the length of the log. */
const LOOK_EVERY_ROWS = 128;

const SETTINGS = [
  "PRAGMA journal_mode = WAL",
  "PRAGMA synchronous = NORMAL",
  "PRAGMA wal_autocheckpoint = 0",
  "PRAGMA journal_size_limit = 16777216",
  "PRAGMA cache_size = -2048",
  "PRAGMA temp_store = MEMORY",
];

const SCHEMA = [
  `CREATE TABLE items (
     id INTEGER PRIMARY KEY, key TEXT NOT NULL, revision INTEGER NOT NULL, value TEXT NOT NULL)`,
  "CREATE TABLE meta (name TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID",
  "INSERT INTO meta VALUES ('ceiling', 0)",
];

const syncFile = (descriptor: number): Promise<void> =>
  new Promise((resolve, reject) => {
    fdatasync(descriptor, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(new StorageError("sync the datastore", { cause: error }));
    });
  });

/** Runs a step of SQLite's; its errors are the disk's. */
function storage<T>(what: string, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw new StorageError(`${what}: ${messageOf(error)}`, { cause: error });
  }
}

/** Without a file for other processes to share the log's index: there is no room for one. */
const ALONE = "PRAGMA locking_mode = EXCLUSIVE";

/** Errors of SQLite's that say that the file beside the log has no room. */
const isWithoutRoom = (error: unknown): boolean =>
  error instanceof Error && "code" in error && /^SQLITE_(FULL|IOERR_SHM)/.test(String(error.code));

function openDatabase(path: string, migrations: Migrations, alone = false): Database {
  const db = new Database(path, { create: true, strict: true });
  try {
    if (alone) db.run(ALONE);
    for (const setting of SETTINGS) db.run(setting);
    bringForward(db, path, migrations);
    return db;
  } catch (error) {
    // Its locks would be in the way of who tries otherwise.
    db.close();
    throw error;
  }
}

/** Makes the tables, or brings those of an older program up to now. */
function bringForward(db: Database, path: string, migrations: Migrations): void {
  const format = migrations.length + 1;
  const version = db.query<{ user_version: number }, []>("PRAGMA user_version").get();
  const found = version?.user_version ?? 0;
  if (found > format) throw new Error(`format ${found} is newer than this program's ${format}`);
  if (found > 0 && found < format) migrate(db, path, found, migrations);
  if (found > 0) return;
  db.run("PRAGMA synchronous = FULL");
  db.transaction(() => {
    for (const statement of SCHEMA) db.run(statement);
    db.run(`PRAGMA user_version = ${format}`);
  })();
  db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  db.run("PRAGMA synchronous = NORMAL");
}

class SqliteDisk implements Disk {
  readonly #db: Database;
  /** Kept open until the end: closing one on the database file would drop SQLite's locks. */
  readonly #files: { log: number; database: number } | undefined;
  readonly #put: Statement<unknown, [number, string, number, string]>;
  readonly #delete: Statement<unknown, [number]>;
  readonly #ceilingTo: Statement<unknown, [number]>;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #look: Statement<{ log: number; checkpointed: number }, []>;
  readonly #path: string;
  /** SQLite lets nobody else read: opened so on a full disk, until the next start. */
  readonly #alone: boolean;
  /** Reads from the log, so that SQLite does not begin it anew before its pages are safe. */
  #pin: Database | undefined;
  #rowsSinceLook = 0;
  #damaged = false;
  /** A sync of the database file failed: the log may not have its pages any more. */
  #suspect = false;
  #ceiling: number;

  constructor(
    path: string,
    db: Database,
    files?: { log: number; database: number },
    alone = false,
  ) {
    this.#path = path;
    this.#alone = alone;
    this.#db = db;
    this.#files = files;
    this.#put = db.prepare(
      `INSERT INTO items VALUES (?, ?, ?, ?) ON CONFLICT (id)
       DO UPDATE SET revision = excluded.revision, value = excluded.value`,
    );
    this.#delete = db.prepare("DELETE FROM items WHERE id = ?");
    this.#ceilingTo = db.prepare("UPDATE meta SET number = ? WHERE name = 'ceiling'");
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#look = db.prepare("PRAGMA wal_checkpoint(NOOP)");
    const meta = db.query<{ number: number }, []>("SELECT number FROM meta WHERE name = 'ceiling'");
    this.#ceiling = meta.get()?.number ?? 0;
  }

  get ceiling(): number {
    return this.#ceiling;
  }

  get damaged(): boolean {
    return this.#damaged;
  }

  load(): Iterable<StoredRow> {
    const all = this.#db.query<StoredRow, []>("SELECT id, key, revision, value FROM items");
    return all.iterate();
  }

  commit(rows: Iterable<Row>, ceiling: number): void {
    storage("write to the datastore", () => {
      this.#begin.run();
      try {
        for (const { id, item } of rows) {
          if (item === undefined) this.#delete.run(id);
          else this.#put.run(id, item.key, item.revision, item.value);
          this.#rowsSinceLook++;
        }
        if (ceiling !== this.#ceiling) this.#ceilingTo.run(ceiling);
        this.#commit.run();
      } catch (error) {
        // SQLite rolls back by itself when the disk is full, but not after every error.
        if (this.#db.inTransaction) this.#db.run("ROLLBACK");
        throw error;
      }
    });
    this.#ceiling = ceiling;
  }

  async sync(): Promise<void> {
    if (this.#files === undefined) return;
    try {
      await syncFile(this.#files.log);
    } catch (error) {
      this.#damaged = true;
      throw error;
    }
  }

  mend(): void {
    storage("repair the datastore", () => {
      // The log may have a hole on the disk: what follows it would be lost in a power cut. Moved to
      // the database file under SQLite's own syncs, nothing depends on the log any more.
      this.#db.run("PRAGMA synchronous = FULL");
      try {
        // Pages that a failed sync may have dropped are written again.
        if (this.#suspect) this.#db.run("VACUUM");
        this.#unpin();
        const moved = this.#db.query<{ busy: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").get();
        if (moved?.busy !== 0) throw new Error("the log is in use");
      } finally {
        this.#db.run("PRAGMA synchronous = NORMAL");
      }
    });
    this.#suspect = false;
    this.#damaged = false;
  }

  scrub(): void {
    storage("write the datastore anew", () => {
      this.#db.run("PRAGMA synchronous = FULL");
      try {
        this.#db.run("VACUUM");
        const moved = this.#db.query<{ busy: number }, []>("PRAGMA wal_checkpoint(TRUNCATE)").get();
        if (moved?.busy !== 0) throw new Error("the log is in use");
      } finally {
        this.#db.run("PRAGMA synchronous = NORMAL");
      }
    });
  }

  wantsTidy(): boolean {
    if (this.#files === undefined || this.#rowsSinceLook < LOOK_EVERY_ROWS) return false;
    this.#rowsSinceLook = 0;
    const state = this.#look.get();
    return state !== null && state.log - state.checkpointed >= limits.storeLogPagesMax;
  }

  async copyLog(): Promise<void> {
    if (this.#files === undefined) return;
    if (this.#alone) return this.mend();
    storage("read the datastore's log", () => {
      // A copy that failed left its own.
      this.#unpin();
      const pin = new Database(this.#path, { readonly: true });
      this.#pin = pin;
      pin.run("BEGIN");
      pin.query("SELECT number FROM meta").get();
    });
    await this.#copyPages(this.#files.database);
  }

  async endLog(): Promise<void> {
    if (this.#files === undefined || this.#alone) return;
    this.#unpin();
    await this.#copyPages(this.#files.database);
  }

  /** The log is synced already, so SQLite need not sync at all: the sync after it is ours. */
  async #copyPages(database: number): Promise<void> {
    storage("move the datastore's log", () => {
      this.#db.run("PRAGMA synchronous = OFF");
      try {
        this.#db.run("PRAGMA wal_checkpoint(PASSIVE)");
      } finally {
        this.#db.run("PRAGMA synchronous = NORMAL");
      }
    });
    try {
      await syncFile(database);
    } catch (error) {
      this.#suspect = true;
      this.#damaged = true;
      throw error;
    }
  }

  #unpin(): void {
    this.#pin?.close(true);
    this.#pin = undefined;
  }

  #statements(): Statement[] {
    const writing = [this.#put, this.#delete, this.#ceilingTo];
    return [...writing, this.#begin, this.#commit, this.#look];
  }

  close(): void {
    storage("close the datastore", () => {
      this.#unpin();
      // SQLite stays open, and its log unmoved, as long as a statement is.
      for (const statement of this.#statements()) statement.finalize();
      this.#db.close(true);
    });
    if (this.#files === undefined) return;
    closeSync(this.#files.log);
    closeSync(this.#files.database);
  }
}

function openFiles(path: string, migrations: Migrations, alone = false): Disk {
  // Secrets are in it: SQLite gives its other files the mode of this one.
  const database = openSync(path, "a", 0o600);
  try {
    const db = openDatabase(path, migrations, alone);
    const log = openSync(`${path}-wal`, "r");
    // What a killed process wrote is read from now on, so it must be as durable as all else.
    for (const descriptor of [log, database]) fdatasyncSync(descriptor);
    const directory = openSync(dirname(path), "r");
    fsyncSync(directory);
    closeSync(directory);
    return new SqliteDisk(path, db, { log, database }, alone);
  } catch (error) {
    closeSync(database);
    if (!alone && isWithoutRoom(error)) return openFiles(path, migrations, true);
    throw error;
  }
}

/** Opens or makes the database; OperatorError when it cannot be one of ours. */
export function openDisk(path: string, migrations = MIGRATIONS): Disk {
  try {
    if (path === ":memory:") return new SqliteDisk(path, openDatabase(path, migrations));
    return openFiles(path, migrations);
  } catch (error) {
    throw new OperatorError(`cannot open the datastore ${path}: ${messageOf(error)}`, {
      hint: "check that it is a datastore of bramble and the disk has room, or restore a backup",
      cause: error,
    });
  }
}
