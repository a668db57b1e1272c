/** Copies of a store in use, a copy taken back, and older formats brought forward. */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { copyDatastore, takeBack } from "#store/copy.ts";
import { openDisk } from "#store/disk.ts";
import { keptPath } from "#store/migrate.ts";
import { openTestStore, type TempDir, tempDir } from "#test/support/store.ts";

let dir: TempDir;
let path: string;
beforeEach(() => {
  dir = tempDir();
  path = join(dir.path, "state.db");
});
afterEach(() => dir.remove());

const put = (name: string, expect = 0) => ({
  key: `core/things/${name}`,
  value: "{}",
  terms: { labels: {}, fields: {} },
  expect,
});

test("a copy holds one moment of a store in use, and revisions go on after it", async () => {
  const store = await openTestStore(path);
  for (let i = 0; i < 50; i++) await store.write(put(`a${i}`));
  const later = Promise.all(Array.from({ length: 50 }, (_, i) => store.write(put(`b${i}`))));
  const copy = join(dir.path, "copy.db");
  const { objects, ceiling } = copyDatastore(path, copy);
  await later;
  const newest = store.revision();
  await store.close();
  expect(objects).toBeGreaterThanOrEqual(50);
  expect(statSync(copy).mode & 0o777).toBe(0o600);
  expect(takeBack(copy)).toEqual({
    objects,
    ceiling: ceiling + limits.restoredRevisionGap,
    migration: 0,
  });
  const back = await openTestStore(copy);
  expect(back.revision()).toBeGreaterThan(newest);
  expect(back.count("core/things/")).toBe(objects);
  await back.close();
});

test("what is no datastore is refused", () => {
  writeFileSync(path, "x".repeat(8192));
  expect(() => takeBack(path)).toThrow(OperatorError);
  expect(() => copyDatastore(join(dir.path, "none.db"), join(dir.path, "copy.db"))).toThrow(
    OperatorError,
  );
});

const STEPS = [
  ["ALTER TABLE meta ADD COLUMN note TEXT", "UPDATE meta SET note = 'two'"],
  ["UPDATE meta SET note = note || ' three'"],
];

function contents(file: string): { version: number; note: unknown; items: number } {
  const db = new Database(file);
  const one = (sql: string) => Object.values(db.query(sql).get() as object)[0] as number;
  const [meta] = db.query("SELECT * FROM meta").all() as Array<{ note?: unknown }>;
  const found = {
    version: one("PRAGMA user_version"),
    note: meta?.note,
    items: one("SELECT count(*) FROM items"),
  };
  db.close();
  return found;
}

test("an older store is brought forward step by step, with its old state kept", async () => {
  const store = await openTestStore(path);
  await store.write(put("a"));
  await store.close();
  openDisk(path, STEPS.slice(0, 1)).close();
  expect(contents(path)).toEqual({ version: 2, note: "two", items: 1 });
  const disk = openDisk(path, STEPS);
  expect([...disk.load()]).toHaveLength(1);
  disk.close();
  expect(contents(path)).toEqual({ version: 3, note: "two three", items: 1 });
  expect(contents(keptPath(path, 1))).toEqual({ version: 1, note: undefined, items: 1 });
  expect(contents(keptPath(path, 2)).version).toBe(2);
  expect(() => openDisk(path)).toThrow("newer than this program");
});

test("a step that fails leaves the old format as it was", async () => {
  await (await openTestStore(path)).close();
  const broken = [...STEPS.slice(0, 1), ["UPDATE nothing SET a = 1"]];
  expect(() => openDisk(path, broken)).toThrow("step from format 2");
  expect(contents(path)).toMatchObject({ version: 1, note: undefined });
  expect(existsSync(keptPath(path, 1))).toBe(true);
  openDisk(path).close();
});
