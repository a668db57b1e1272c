/**
 * One server for a data directory. The lock is SQLite's own file lock: the kernel drops it with the
 * process, however that ends, so nothing stale is left and no process number is ever trusted.
 */
import { Database } from "bun:sqlite";
import { chmodSync, mkdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { messageOf, OperatorError } from "#base/errors.ts";

export interface DataDirLock {
  /** Idempotent. */
  release(): void;
}

const LOCK_FILE = "lock";
/** A lock that only its holder knows of would be dropped by the garbage collector. */
const held = new Set<Database>();

function isBusy(error: unknown): boolean {
  return error instanceof Error && "code" in error && String(error.code).startsWith("SQLITE_BUSY");
}

/**
 * The process that holds a lock on this file, as the kernel lists it; undefined when it does not.
 */
function holderOf(path: string): number | undefined {
  try {
    const inode = `:${statSync(path).ino}`;
    const line = readFileSync("/proc/locks", "utf8")
      .split("\n")
      .map((text) => text.trim().split(/\s+/))
      .find((fields) => fields[1] === "POSIX" && fields[5]?.endsWith(inode));
    const pid = Number(line?.[4]);
    return Number.isInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    // Only for the message: without /proc the user is told less.
    return undefined;
  }
}

function open(path: string): Database {
  const db = new Database(path, { create: true });
  try {
    db.run("PRAGMA busy_timeout = 0");
    // Nothing is ever written to it: no room on the disk is needed.
    db.run("PRAGMA journal_mode = MEMORY");
    db.run("BEGIN EXCLUSIVE");
    chmodSync(path, 0o600);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Makes the directory where it is missing (0700) and locks it; OperatorError when it is in use. */
export function lockDataDir(dir: string): DataDirLock {
  const path = join(dir, LOCK_FILE);
  let db: Database | undefined;
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    db = open(path);
    held.add(db);
  } catch (error) {
    if (!isBusy(error)) {
      throw new OperatorError(`cannot use the data directory ${dir}: ${messageOf(error)}`, {
        hint: "run as root, or name another directory with --data-dir",
        cause: error,
      });
    }
    const pid = holderOf(path);
    const who = pid === undefined ? "another server" : `another server (process ${pid})`;
    throw new OperatorError(`${who} uses the data directory ${dir}`, {
      hint: "stop it first, or name another directory with --data-dir",
      cause: error,
    });
  }
  return {
    release: () => {
      if (db === undefined) return;
      held.delete(db);
      db.close();
      db = undefined;
    },
  };
}
