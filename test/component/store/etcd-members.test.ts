/** Stores of several servers on three members of etcd, which are killed, hang and forget. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { createConnection, createServer, type Socket } from "node:net";
import { realClock } from "#base/clock.ts";
import { TimeoutError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { Members } from "#store/etcd/members.ts";
import { openEtcdStore } from "#store/etcd.ts";
import { GoneError, type Item, StorageError, type Store } from "#store/store.ts";
import { fakeClock } from "#test/support/clock.ts";
import { type EtcdCluster, healthy, startEtcd } from "#test/support/etcd.ts";
import { eventually, freePort } from "#test/support/instance.ts";
import { quietLog } from "#test/support/store.ts";
import { put, record, testCodec, textOf } from "#test/support/suites/store.ts";

const PODS = "core/pods/";
/** Looks for the leader, and elections, fit in. */
const LEADER_MS_MAX = 20_000;
let etcd: EtcdCluster;
let stores: Store[] = [];

/** A server that speaks to member `first` as long as that one serves. */
function server(first: number, prefix?: string): Promise<Store> {
  return open([...etcd.urls.slice(first), ...etcd.urls.slice(0, first)], prefix);
}

async function open(urls: readonly string[], prefix = "/bramble/"): Promise<Store> {
  const base = { codec: testCodec, clock: realClock, log: quietLog };
  const store = await openEtcdStore({ ...base, urls, prefix });
  stores.push(store);
  return store;
}

beforeEach(async () => {
  etcd = await startEtcd({ members: 3 });
});
afterEach(async () => {
  for (const store of stores) await store.close();
  stores = [];
  await etcd.stop();
});

test("what one server wrote another reads at once, and both watch the same", async () => {
  const [a, b] = [await server(0), await server(1)];
  const watch = record(b, PODS, b.revision());
  let last: Item = await a.write(put("core/pods/x/a", "0"));
  for (let i = 1; i <= 20; i++) {
    const writer = i % 2 === 0 ? a : b;
    expect(textOf(await writer.get("core/pods/x/a"))).toBe(`${i - 1}`);
    last = await writer.write(put("core/pods/x/a", `${i}`, last.revision));
  }
  await a.write({ key: "core/pods/x/a", expect: last.revision });
  expect((await b.list({ prefix: PODS })).items).toEqual([]);
  expect(watch.changes.map(({ type, item }) => `${type} ${textOf(item)}`)).toEqual([
    ...Array.from({ length: 21 }, (_, i) => `put ${i}`),
    "delete 20",
  ]);
});

interface Status {
  header: { member_id: string };
  leader: string;
}

async function statusOf(url: string): Promise<Status> {
  const answer = await fetch(`${url}/v3/maintenance/status`, { method: "POST", body: "{}" });
  return (await answer.json()) as Status;
}

/** Where the leader answers, once all agree on one. */
const leaderUrl = (): Promise<string> =>
  eventually("the members agree on a leader", LEADER_MS_MAX, async () => {
    const all = await Promise.all(etcd.urls.map(statusOf));
    const [first] = all;
    if (first === undefined || all.some(({ leader }) => leader !== first.leader)) return undefined;
    return etcd.urls[all.findIndex(({ header }) => header.member_id === first.leader)];
  });

/** Writes that came in at a member so far. */
async function writesAt(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^grpc_server_started_total{grpc_method="Txn".*} (.+)$/m.exec(text)?.[1] ?? 0);
}

/** Resolves once that one alone is asked, while something is written all the time. */
const askedAlone = (url: string): Promise<true> =>
  eventually(`${url} alone is asked`, LEADER_MS_MAX, async () => {
    const before = await Promise.all(etcd.urls.map(writesAt));
    await Bun.sleep(100);
    const after = await Promise.all(etcd.urls.map(writesAt));
    const moves = after.map((count, i) => count > (before[i] ?? 0));
    return moves.every((moved, i) => moved === (etcd.urls[i] === url)) ? true : undefined;
  });

test("the leader is spoken to, whichever it is, and a watch misses nothing", async () => {
  const first = await leaderUrl();
  const follower = etcd.urls.find((url) => url !== first) ?? "";
  const urls = [follower, ...etcd.urls.filter((url) => url !== follower)];
  const base = { codec: testCodec, clock: realClock, log: quietLog };
  const store = await openEtcdStore({ ...base, urls, prefix: "/bramble/" });
  stores.push(store);
  const watch = record(store, PODS, store.revision());
  let count = 0;
  let isOver = false;
  const writing = (async () => {
    for (; !isOver; count++) {
      await store.write(put(`core/pods/x/p${count}`, `${count}`));
      await Bun.sleep(5);
    }
  })();
  await askedAlone(first);
  const { header } = await statusOf(follower);
  const body = JSON.stringify({ targetID: header.member_id });
  await fetch(`${first}/v3/maintenance/transfer-leadership`, { method: "POST", body });
  await askedAlone(follower);
  // The members that were left are closed by now, and the watch went on at the leader.
  await Bun.sleep(limits.etcdAttemptMsMax + 500);
  isOver = true;
  await writing;
  await eventually("all is seen", LEADER_MS_MAX, async () => watch.changes.length >= count);
  expect(watch.changes.map(({ item }) => textOf(item))).toEqual(
    Array.from({ length: count }, (_, i) => `${i}`),
  );
});

test("a leader that hung is not chosen again before a while is over", async () => {
  await leaderUrl();
  const clock = fakeClock();
  const members = new Members({ urls: etcd.urls, clock, log: quietLog });
  try {
    await members.preferLeader();
    members.failed(members.current(), new TimeoutError("it hangs"));
    const other = members.current();
    await members.preferLeader();
    expect(members.current()).toBe(other);
    await clock.advance(limits.etcdSilentMs);
    await members.preferLeader();
    expect(members.current()).not.toBe(other);
  } finally {
    members.close();
  }
});

test("other users of the same etcd hold nobody up", async () => {
  const [a, other] = [await server(0), await server(0, "/other/")];
  await a.write(put("core/pods/x/a", "mine"));
  for (let i = 0; i < 5; i++) await other.write(put(`core/pods/x/o${i}`, "theirs"));
  const started = performance.now();
  expect((await a.list({ prefix: PODS })).items.map(textOf)).toEqual(["mine"]);
  expect(performance.now() - started).toBeLessThan(2_000);
  expect(a.revision()).toBeGreaterThanOrEqual(other.revision());
});

/**
 * Counts up under one key, each writer by compare-and-set; answers what was acknowledged and told
 * unknown.
 */
async function countUp(store: Store, key: string, until: () => boolean) {
  let acknowledged = 0;
  let longestMs = 0;
  while (!until()) {
    const started = performance.now();
    try {
      const now = await store.get(key);
      const next = Number(textOf(now) ?? "0") + 1;
      await store.write(put(key, `${next}`, now?.revision ?? 0));
      acknowledged++;
      longestMs = Math.max(longestMs, performance.now() - started);
    } catch {
      await Bun.sleep(5);
    }
  }
  return { acknowledged, longestMs };
}

for (const [how, stop, back] of [
  ["killed", "kill", "start"],
  ["hanging", "pause", "resume"],
] as const) {
  test(`a ${how} member is left for another, nothing acknowledged is lost`, async () => {
    const all = await Promise.all([0, 1, 2].map((first) => server(first)));
    const watching = await server(0);
    const watcher = record(watching, PODS, watching.revision());
    let over = false;
    const counting = all.map((store, i) => countUp(store, `core/pods/x/c${i % 2}`, () => over));
    for (const member of etcd.members) {
      await Bun.sleep(300);
      await member[stop]();
      await Bun.sleep(1_500);
      member[back]();
      await eventually("the member is back", 60_000, () => healthy(member.url));
    }
    over = true;
    const results = await Promise.all(counting);
    const total = results.reduce((sum, { acknowledged }) => sum + acknowledged, 0);
    const reader = await server(2);
    const values = await Promise.all(["c0", "c1"].map((name) => reader.get(`core/pods/x/${name}`)));
    const counted = values.reduce((sum, item) => sum + Number(textOf(item)), 0);
    // A write whose answer was lost may count beside the acknowledged ones, never the other way.
    expect(counted).toBeGreaterThanOrEqual(total);
    expect(counted - total).toBeLessThanOrEqual(10 * all.length);
    expect(Math.max(...results.map(({ longestMs }) => longestMs))).toBeLessThan(10_000);
    const allSeen = async () => watcher.changes.length === counted;
    await eventually("the watcher has seen all", 60_000, allSeen);
    for (const key of ["c0", "c1"]) {
      const seen = watcher.changes.filter(({ item }) => item.key.endsWith(key));
      expect(seen.map(({ item }) => Number(textOf(item)))).toEqual(seen.map((_, i) => i + 1));
    }
  }, 180_000);
}

/** A way to a member that can be cut and mended. */
async function wayTo(url: string) {
  const target = new URL(url);
  const port = await freePort();
  let open = new Set<Socket>();
  let isMute = false;
  const listen = () =>
    createServer((socket) => {
      const inner = createConnection(Number(target.port), target.hostname);
      for (const each of [socket, inner]) each.on("error", () => undefined);
      open.add(socket).add(inner);
      socket.pipe(inner);
      inner.on("data", (bytes) => isMute || socket.write(bytes));
    }).listen(port, "127.0.0.1");
  let server = listen();
  const cut = () => {
    server.close();
    for (const socket of open) socket.destroy();
    open = new Set();
  };
  const mend = () => {
    isMute = false;
    server = listen();
  };
  /** What is asked arrives, what is answered does not. */
  const mute = () => {
    isMute = true;
  };
  return { url: `http://127.0.0.1:${port}`, cut, mend, mute };
}

test("a server that missed what was compacted loads all, its watchers list again", async () => {
  const [a, way] = [await server(0), await wayTo(etcd.urls[0] ?? "")];
  const late = await open([way.url]);
  const first = await a.write(put("core/pods/x/a", "1"));
  await late.get("core/pods/x/a");
  const watch = record(late, PODS, late.revision());
  way.cut();
  const second = await a.write(put("core/pods/x/a", "2", first.revision));
  await a.write(put("core/pods/x/b", "new"));
  await a.compact(a.revision());
  way.mend();
  expect(await watch.closed).toBeInstanceOf(GoneError);
  const page = await late.list({ prefix: PODS });
  expect(page.items.map(textOf)).toEqual(["2", "new"]);
  expect(page.items[0]?.revision).toBe(second.revision);
  expect(() => record(late, PODS, first.revision)).toThrow(GoneError);
  way.cut();
}, 360_000);

test("a write that was done, and then undone by another, is not called refused", async () => {
  const key = "core/pods/x/a";
  const [a, way] = [await server(0), await wayTo(etcd.urls[0] ?? "")];
  const late = await open([way.url]);
  const first = await a.write(put(key, "1"));
  await late.get(key);
  way.mute();
  const deleting = late.write({ key, expect: first.revision }).catch((error: Error) => error);
  await eventually("it is deleted", 60_000, async () => (await a.get(key)) === undefined);
  const second = await a.write(put(key, "2"));
  way.cut();
  way.mend();
  expect(await deleting).toBeInstanceOf(StorageError);
  await late.get(key);
  way.mute();
  const changing = late.write(put(key, "3", second.revision)).catch((error: Error) => error);
  const third = await eventually("it is changed", 60_000, async () => {
    const now = await a.get(key);
    return textOf(now) === "3" && now;
  });
  await a.write(put(key, "4", third.revision));
  way.cut();
  way.mend();
  expect(await changing).toBeInstanceOf(StorageError);
  way.cut();
}, 360_000);
