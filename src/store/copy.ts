/** Copies of a datastore: a consistent one while it is in use, and one that is taken back. */
import { Database } from "bun:sqlite";
import { chmodSync } from "node:fs";
import { messageOf, OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

/** How many objects a datastore holds, and the highest revision it may have given out. */
export interface Extent {
  readonly objects: number;
  readonly ceiling: number;
  /** Of the migration that made it; 0: none did. */
  readonly migration: number;
}

const numberOf = (db: Database, sql: string): number =>
  db.query<{ number: number }, []>(sql).get()?.number ?? 0;

const extentOf = (db: Database): Extent => ({
  objects: numberOf(db, "SELECT count(*) AS number FROM items"),
  ceiling: numberOf(db, "SELECT number FROM meta WHERE name = 'ceiling'"),
  migration: numberOf(db, "SELECT number FROM meta WHERE name = 'migration'"),
});

/** Of a datastore that no server uses. @throws OperatorError */
export function extentOfFile(path: string): Extent {
  let db: Database | undefined;
  try {
    db = new Database(path, { readonly: true });
    return extentOf(db);
  } catch (cause) {
    throw new OperatorError(`cannot read ${path}: ${messageOf(cause)}`, { cause });
  } finally {
    db?.close();
  }
}

/** Says in a datastore, whole when this returns, which migration made it. */
export function markMigration(path: string, number: number): void {
  const db = new Database(path, { strict: true });
  try {
    db.run("PRAGMA synchronous = FULL");
    db.run("INSERT OR REPLACE INTO meta VALUES ('migration', ?)", [number]);
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.close();
  }
}

/**
 * Writes the state of one moment to `to`, which must not exist; the server goes on meanwhile, in
 * this or another process. What is only in its memory (Lease renewals, Events) is left out.
 */
export function copyDatastore(from: string, to: string): Extent {
  let db: Database | undefined;
  try {
    db = new Database(from, { readonly: true });
    db.run(`PRAGMA busy_timeout = ${limits.datastoreBusyMsMax}`);
    db.run("VACUUM INTO ?", [to]);
    chmodSync(to, 0o600);
    const copy = new Database(to, { readonly: true });
    try {
      return extentOf(copy);
    } finally {
      copy.close();
    }
  } catch (cause) {
    throw new OperatorError(`cannot copy ${from}: ${messageOf(cause)}`, { cause });
  } finally {
    db?.close();
  }
}

/**
 * Makes a copy ready to be the datastore: whole, and with revisions that begin after all that were
 * given out since it was made, so that clients which saw those list again.
 */
export function takeBack(path: string): Extent {
  let db: Database | undefined;
  try {
    db = new Database(path, { strict: true });
    const check = db.query<{ quick_check: string }, []>("PRAGMA quick_check(1)").get();
    if (check?.quick_check !== "ok") throw new Error(check?.quick_check ?? "no answer");
    db.run("UPDATE meta SET number = number + ? WHERE name = 'ceiling'", [
      limits.restoredRevisionGap,
    ]);
    return extentOf(db);
  } catch (cause) {
    throw new OperatorError(`the datastore in the backup is damaged: ${messageOf(cause)}`, {
      cause,
    });
  } finally {
    db?.close();
  }
}
