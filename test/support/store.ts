/** Stores for tests: in memory, or in a directory of their own that goes with them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Clock, realClock } from "#base/clock.ts";
import { type Log, silentLog } from "#base/log.ts";
import { openSqliteStore, type SqliteStoreOptions } from "#store/sqlite.ts";
import type { Store } from "#store/store.ts";
import { testCodec } from "#test/support/suites/store.ts";

/** The log of a test in which errors are expected. */
export const quietLog: Log = { ...silentLog, error: () => {}, part: () => quietLog };

export interface TempDir {
  readonly path: string;
  remove(): void;
}

export function tempDir(): TempDir {
  const path = mkdtempSync(join(tmpdir(), "bramble-test-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}

export function openTestStore(
  path: string,
  options: Partial<SqliteStoreOptions> & { clock?: Clock } = {},
): Promise<Store> {
  const base = { codec: testCodec, clock: realClock, log: quietLog };
  return openSqliteStore({ ...base, ...options, path });
}
