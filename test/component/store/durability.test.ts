/** What a disk does to a store: it is slow, full, wrong or gone. */

import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { openDisk } from "#store/disk.ts";
import { ConflictError, StorageError, type Store } from "#store/store.ts";
import { fakeClock } from "#test/support/clock.ts";
import { type SimDisk, simDisk } from "#test/support/sim.ts";
import { openTestStore, type TempDir, tempDir } from "#test/support/store.ts";
import { put, record, textOf, turn } from "#test/support/suites/store.ts";

const WEB = "core/pods/default/web";
const LEASE = "coordination.k8s.io/leases/kube-node-lease/pi";
const PODS = "core/pods/";
const NO_TERMS = { labels: {}, fields: {} };

let dir: TempDir;
let disk: SimDisk;
let store: Store;
const clock = fakeClock();
let opened: Store[] = [];

beforeEach(async () => {
  dir = tempDir();
  disk = simDisk(dir.path);
  store = await openTestStore(join(dir.path, "state.db"), { openDisk: disk.open, clock });
  opened = [store];
});

afterEach(async () => {
  for (const each of opened) await each.close();
  dir.remove();
});

async function reopened(path: string): Promise<Store> {
  const other = await openTestStore(path, { clock });
  opened.push(other);
  return other;
}

const lazy = (key: string, text: string, expected = 0) =>
  ({ ...put(key, text, expected), durability: "lazy" }) as const;

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

async function turns(count = 5): Promise<void> {
  for (let i = 0; i < count; i++) await turn();
}

test("nothing is shown or acknowledged before it is on the disk", async () => {
  const watch = record(store, PODS, store.revision());
  const before = store.revision();
  const release = disk.hold();
  let acknowledged = false;
  const writing = store.write(put(WEB, "one")).then((item) => {
    acknowledged = true;
    return item;
  });
  await turns();
  expect(disk.calls.commit).toBe(1);
  expect(acknowledged).toBe(false);
  expect(await store.get(WEB)).toBeUndefined();
  expect((await store.list({ prefix: PODS })).items).toEqual([]);
  expect(store.count(PODS)).toBe(0);
  expect(store.revision()).toBe(before);
  expect(watch.changes).toEqual([]);
  release();
  await writing;
  await turn();
  expect(textOf(await store.get(WEB))).toBe("one");
  expect(watch.changes.length).toBe(1);
});

test("a race is lost against a write that is not durable yet, and told when it is", async () => {
  const release = disk.hold();
  const first = store.write(put(WEB, "first"));
  await turns();
  let told = false;
  const second = failure(store.write(put(WEB, "second"))).then((error) => {
    told = true;
    return error;
  });
  await turns();
  expect(told).toBe(false);
  release();
  const error = await second;
  expect(error).toBeInstanceOf(ConflictError);
  expect((error as ConflictError).current).toEqual(await first);
});

test("a race is lost against the newest queued write, also when an older one lands", async () => {
  const one = await store.write(put(WEB, "one"));
  const first = disk.hold();
  const deleting = store.write({ key: WEB, expect: one.revision });
  await turns();
  const creating = store.write(put(WEB, "two"));
  const second = disk.hold();
  first();
  await deleting;
  await turns();
  const late = failure(store.write(put(WEB, "three")));
  second();
  const two = await creating;
  expect((await late) as ConflictError).toHaveProperty("current", two);
  expect(await store.get(WEB)).toEqual(two);
});

test("a transaction that breaks off half-way leaves nothing and blocks nothing", () => {
  const raw = openDisk(join(dir.path, "raw.db"));
  const item = (id: number) => ({ key: WEB, value: "{}", revision: id, terms: NO_TERMS });
  function* broken() {
    yield { id: 1, item: item(1) };
    throw new Error("broken off");
  }
  expect(() => raw.commit(broken(), 10)).toThrow(StorageError);
  expect(raw.ceiling).toBe(0);
  raw.commit([{ id: 2, item: item(2) }], 20);
  expect([...raw.load()].map(({ id }) => id)).toEqual([2]);
  raw.close();
  const again = openDisk(join(dir.path, "raw.db"));
  expect(again.ceiling).toBe(20);
  again.close();
});

test("a file of a newer format or of another kind is refused with the way out", () => {
  const path = join(dir.path, "other.db");
  const other = new Database(path);
  other.run("PRAGMA user_version = 99");
  other.close();
  expect(() => openDisk(path)).toThrow("newer than this program");
  const garbage = join(dir.path, "garbage.db");
  writeFileSync(garbage, "x".repeat(8192));
  expect(() => openDisk(garbage)).toThrow(OperatorError);
});

test("the datastore's files are private", () => {
  for (const end of ["", "-wal"]) {
    expect(statSync(join(dir.path, `state.db${end}`)).mode & 0o777).toBe(0o600);
  }
});

test("writes that arrive during a sync share the next one", async () => {
  const release = disk.hold();
  const writes = [store.write(put(`${PODS}default/p0`, "x"))];
  await turns();
  for (let i = 1; i <= 50; i++) {
    writes.push(store.write(put(`${PODS}default/p${i}`, "x")));
    if (i % 10 === 0) await turn();
  }
  release();
  await Promise.all(writes);
  expect(disk.calls.sync).toBe(2);
  expect(disk.calls.commit).toBe(2);
});

test("a power cut loses nothing that was acknowledged, revisions go on", async () => {
  const one = await store.write(put(WEB, "one"));
  const image = await reopened(disk.powerCut());
  expect(textOf(await image.get(WEB))).toBe("one");
  expect(image.revision()).toBeGreaterThanOrEqual(one.revision);
  const two = await image.write(put(WEB, "two", one.revision));
  expect(two.revision).toBeGreaterThan(one.revision);
});

test("lazy writes write nothing; a power cut may take them, never their revisions", async () => {
  const one = await store.write(put(LEASE, "1"));
  const before = { ...disk.calls };
  let lease = one;
  for (let i = 2; i <= 100; i++) {
    lease = await store.write(lazy(LEASE, `${i}`, lease.revision));
  }
  await turns();
  expect(disk.calls).toEqual(before);
  const cut = await reopened(disk.powerCut());
  expect(textOf(await cut.get(LEASE))).toBe("1");
  expect(cut.revision()).toBeGreaterThanOrEqual(lease.revision);
  await store.write(put(WEB, "one"));
  expect(disk.calls.rows - before.rows).toBe(2);
  const after = await reopened(disk.powerCut());
  expect(textOf(await after.get(LEASE))).toBe("100");
});

test("lazy writes are flushed after their time, and when they are many", async () => {
  await store.write(put(WEB, "one"));
  await store.write(lazy(LEASE, "old"));
  const syncs = disk.calls.sync;
  await clock.advance(limits.lazyFlushMsMax - 1);
  expect(disk.calls.sync).toBe(syncs);
  await clock.advance(1);
  // The sync is the disk's, not the clock's.
  while (disk.calls.sync === syncs) await turn();
  await store.write(put(`${PODS}default/marker`, "x"));
  const image = await reopened(disk.powerCut());
  expect(textOf(await image.get(LEASE))).toBe("old");
  const count = limits.lazyPendingMax + 10;
  for (let i = 0; i < count; i++) await store.write(lazy(`core/events/default/e${i}`, "x"));
  const full = await reopened(disk.powerCut());
  expect(full.count("core/events/")).toBeGreaterThan(limits.lazyPendingMax - 1);
});

test("a lazy write waits its turn behind writes that are on their way", async () => {
  await store.write(put(LEASE, "1"));
  const release = disk.hold();
  const watches = [record(store, PODS, store.revision())];
  const writing = store.write(put(WEB, "one"));
  await turns();
  let shown = false;
  const late = store.write(lazy(`${PODS}default/lazy`, "x")).then((item) => {
    shown = true;
    return item;
  });
  await turns();
  expect(shown).toBe(false);
  release();
  expect((await writing).revision).toBeLessThan((await late).revision);
  await turn();
  expect(watches[0]?.changes.map((c) => textOf(c.item))).toEqual(["one", "x"]);
});

test("a lazy write during a flush is not forgotten", async () => {
  await store.write(put(WEB, "one"));
  const first = await store.write(lazy(LEASE, "1"));
  const release = disk.hold();
  await clock.advance(limits.lazyFlushMsMax);
  await turns();
  await store.write(lazy(LEASE, "2", first.revision));
  release();
  await store.write(put(`${PODS}default/marker`, "x"));
  const image = await reopened(disk.powerCut());
  expect(textOf(await image.get(LEASE))).toBe("2");
});

test("a full disk refuses a write whole; reads go on, and writes once there is room", async () => {
  const one = await store.write(put(WEB, "one"));
  const watch = record(store, PODS, one.revision);
  disk.faults.commits = 2;
  for (const text of ["two", "three"]) {
    expect(await failure(store.write(put(WEB, text, one.revision)))).toBeInstanceOf(StorageError);
  }
  expect(await store.get(WEB)).toEqual(one);
  const four = await store.write(put(WEB, "four", one.revision));
  await turn();
  expect(watch.changes.map((change) => textOf(change.item))).toEqual(["four"]);
  const image = await reopened(disk.powerCut());
  expect(await image.get(WEB)).toEqual(four);
});

test("what was queued on a write that failed fails with it", async () => {
  const one = await store.write(put(WEB, "one"));
  const release = disk.hold();
  disk.faults.syncs = 1;
  const deleting = failure(store.write({ key: WEB, expect: one.revision }));
  await turns();
  const creating = failure(store.write(put(WEB, "again")));
  const losing = failure(store.write(put(WEB, "loser", one.revision)));
  release();
  for (const error of await Promise.all([deleting, creating, losing])) {
    expect(error).toBeInstanceOf(StorageError);
  }
  expect(await store.get(WEB)).toEqual(one);
  expect(textOf(await store.write(put(WEB, "two", one.revision)))).toBe("two");
});

test("after a failed sync the disk is mended before anything counts as durable", async () => {
  const one = await store.write(put(WEB, "one"));
  disk.faults.syncs = 1;
  disk.faults.mends = 1;
  expect(await failure(store.write(put(WEB, "two", one.revision)))).toBeInstanceOf(StorageError);
  expect(await failure(store.write(put(`${PODS}a/new`, "x")))).toBeInstanceOf(StorageError);
  expect(disk.calls.mend).toBe(1);
  const three = await store.write(put(`${PODS}a/other`, "y"));
  expect(disk.calls.mend).toBe(2);
  const image = await reopened(disk.powerCut());
  expect(await image.get(WEB)).toEqual(one);
  expect(await image.get(`${PODS}a/new`)).toBeUndefined();
  expect(await image.get(`${PODS}a/other`)).toEqual(three);
  const four = await store.write(put(WEB, "four", one.revision));
  const later = await reopened(disk.powerCut());
  expect(await later.get(WEB)).toEqual(four);
});

const LOG_FAULTS = [
  { name: "nothing", copies: 0, ends: 0 },
  { name: "its copy", copies: 1, ends: 0 },
  { name: "its end", copies: 0, ends: 1 },
];

for (const { name, copies, ends } of LOG_FAULTS) {
  test(`the log moves to the database file under load; ${name} fails`, async () => {
    Object.assign(disk.faults, { copies, ends });
    const text = "x".repeat(20_000);
    let image: Store | undefined;
    for (let round = 0; round < 4; round++) {
      const keys = Array.from({ length: 250 }, (_, i) => `core/pods/r${round}/p${i}`);
      await Promise.all(keys.map((key) => store.write(put(key, text))));
      image = await reopened(disk.powerCut());
      expect(image.count(PODS)).toBe(250 * (round + 1));
    }
    expect(disk.calls.copy).toBeGreaterThan(1);
    expect(disk.calls.end).toBeGreaterThan(ends);
    expect(disk.calls.mend).toBe(copies + ends);
    expect(textOf(await image?.get("core/pods/r0/p249"))).toBe(text);
    // A log that begins anew does not grow for ever: 1,000 rows of 5 pages went through it.
    expect(statSync(join(dir.path, "state.db-wal")).size).toBeLessThan(4_000 * 4120);
  });
}

const BIG = "x".repeat(20_000);

/** Enough for the log to be moved. */
async function fillLog(): Promise<void> {
  const keys = Array.from({ length: 250 }, (_, i) => `core/pods/a/p${i}`);
  await Promise.all(keys.map((key) => store.write(put(key, BIG))));
}

test("writes go on while the log is copied, and a power cut then loses nothing", async () => {
  const release = disk.hold("copy");
  await fillLog();
  for (let i = 0; i < 20; i++) await store.write(put(`core/pods/b/p${i}`, BIG));
  expect(disk.calls.copy).toBe(1);
  expect(disk.calls.end).toBe(0);
  const image = await reopened(disk.powerCut());
  expect(image.count(PODS)).toBe(270);
  release();
  while (disk.calls.end === 0) await turn();
  await store.write(put(`core/pods/b/last`, "x"));
  const later = await reopened(disk.powerCut());
  expect(later.count(PODS)).toBe(271);
});

test("no write touches the log while it ends", async () => {
  const release = disk.hold("end");
  await fillLog();
  while (disk.calls.end === 0) await turn();
  const before = disk.calls.commit;
  const writing = store.write(put(WEB, "one"));
  await turns();
  expect(disk.calls.commit).toBe(before);
  expect(store.count("core/pods/a/")).toBe(250);
  release();
  await writing;
  const image = await reopened(disk.powerCut());
  expect(image.count(PODS)).toBe(251);
});

test("a store that closes waits for the copy of its log", async () => {
  const release = disk.hold("copy");
  await fillLog();
  expect(disk.calls.copy).toBe(1);
  const before = disk.calls.commit;
  const closing = store.close();
  await turns();
  expect(disk.calls.commit).toBe(before);
  release();
  await closing;
  const image = await reopened(join(dir.path, "state.db"));
  expect(image.count(PODS)).toBe(250);
});

/** A datastore's file, and what writes so many rows to it. */
function rawDisk() {
  const path = join(dir.path, "raw.db");
  const raw = openDisk(path);
  let id = 0;
  async function write(count: number): Promise<void> {
    const rows = Array.from({ length: count }, () => {
      const value = "x".repeat(3000);
      return { id: ++id, item: { key: `core/pods/a/${id}`, value, revision: id, terms: NO_TERMS } };
    });
    raw.commit(rows, 10_000);
    await raw.sync();
  }
  return { path, raw, write };
}

test("a log that ended begins anew, whatever came during its copy", async () => {
  const { path, raw, write } = rawDisk();
  await write(1000);
  const copying = raw.copyLog();
  await write(10);
  await copying;
  await raw.endLog();
  const size = statSync(`${path}-wal`).size;
  await write(500);
  expect(statSync(`${path}-wal`).size).toBe(size);
  expect([...raw.load()].length).toBe(1510);
  raw.close();
});

test("a log whose copy failed and was begun again can be mended", async () => {
  const { raw, write } = rawDisk();
  await write(1000);
  await raw.copyLog();
  await write(10);
  await raw.copyLog();
  raw.mend();
  await write(10);
  expect([...raw.load()].length).toBe(1020);
  raw.close();
});

test("a store that cannot be flushed says so when it closes", async () => {
  await store.write(put(WEB, "one"));
  await store.write(lazy(LEASE, "1"));
  disk.faults.commits = 1;
  expect(await failure(store.close())).toBeInstanceOf(StorageError);
});
