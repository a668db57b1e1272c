/** Brings a datastore of an older program forward, one step a format, with a copy made first. */
import type { Database } from "bun:sqlite";
import { existsSync } from "node:fs";
import { messageOf } from "#base/errors.ts";

/** SQL that makes format N + 1 of format N; the place in the array is N - 1. */
export type Migrations = ReadonlyArray<readonly string[]>;

/** Where the old state stays. */
export const keptPath = (path: string, format: number): string => `${path}.format-${format}`;

/**
 * All steps or none: a power cut in the middle leaves the old format. @throws Error with the step
 * that failed.
 */
export function migrate(db: Database, path: string, from: number, steps: Migrations): void {
  const copy = keptPath(path, from);
  if (path !== ":memory:" && !existsSync(copy)) db.run("VACUUM INTO ?", [copy]);
  db.run("PRAGMA synchronous = FULL");
  try {
    db.transaction(() => {
      for (const [at, statements] of steps.entries()) {
        if (at + 1 < from) continue;
        try {
          for (const statement of statements) db.run(statement);
        } catch (cause) {
          throw new Error(`step from format ${at + 1}: ${messageOf(cause)}`, { cause });
        }
      }
      db.run(`PRAGMA user_version = ${steps.length + 1}`);
    })();
    db.run("PRAGMA wal_checkpoint(TRUNCATE)");
  } finally {
    db.run("PRAGMA synchronous = NORMAL");
  }
}
