/** What every datastore must do; run it on each implementation. */
import { afterEach, describe, expect, test } from "bun:test";
import {
  BusyError,
  type Change,
  type Codec,
  ConflictError,
  FutureRevisionError,
  GoneError,
  type Item,
  type Store,
  type Write,
} from "#store/store.ts";

export interface StoreUnderTest {
  readonly store: Store;
  /** Closes and opens again what is on the disk; absent where nothing outlives the process. */
  readonly reopen?: () => Promise<Store>;
  readonly cleanUp: () => Promise<void>;
}

export interface OpenLimits {
  watchHistoryEventsMax?: number;
  watchHistoryBytesMax?: number;
  storeQueueMax?: number;
}

export type OpenStore = (limits?: OpenLimits) => Promise<StoreUnderTest>;

/** Values are `{"revision":R,"text":T}`; the label `text` is the index term. */
export const testCodec: Codec = {
  stamp: (value, revision) => JSON.stringify({ ...JSON.parse(value), revision }),
  terms: (key, value) => ({
    labels: { text: String(JSON.parse(value).text) },
    fields: { "metadata.name": key.slice(key.lastIndexOf("/") + 1) },
  }),
};

export function put(key: string, text: string, expected = 0): Write {
  const value = JSON.stringify({ text });
  return { key, value, terms: testCodec.terms(key, value), expect: expected };
}

export function textOf(item: Item | undefined): string | undefined {
  return item === undefined ? undefined : JSON.parse(item.value).text;
}

/** A watch that remembers what it was told. */
export function record(store: Store, prefix: string, after: number) {
  const changes: Change[] = [];
  const batches: Array<readonly Change[]> = [];
  const closed = Promise.withResolvers<Error>();
  const watch = store.watch({
    prefix,
    after,
    onChanges: (batch) => {
      batches.push(batch);
      changes.push(...batch);
    },
    onClosed: closed.resolve,
  });
  return { changes, batches, closed: closed.promise, close: () => watch.close() };
}

/** Lets everything that was acknowledged reach the watchers. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const PODS = "core/pods/";
const WEB = "core/pods/default/web";

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

export function storeSuite(name: string, open: OpenStore): void {
  let opened: StoreUnderTest[] = [];

  async function fresh(limits?: OpenLimits): Promise<Store> {
    const under = await open(limits);
    opened.push(under);
    return under.store;
  }

  afterEach(async () => {
    for (const { cleanUp } of opened) await cleanUp();
    opened = [];
  });

  describe(`${name}: writes`, () => writeCases(fresh));
  describe(`${name}: writes together`, () => raceCases(fresh));
  describe(`${name}: lists`, () => listCases(fresh));
  describe(`${name}: lists of the past`, () => pastCases(fresh));
  describe(`${name}: watches`, () => watchCases(fresh));
  describe(`${name}: watches of a field`, () => fieldCases(fresh));
  describe(`${name}: watchers' manners`, () => mannerCases(fresh));
  describe(`${name}: its end`, () => endCases(fresh, open));
}

type Fresh = (limits?: OpenLimits) => Promise<Store>;

function writeCases(fresh: Fresh): void {
  test("a created item is stamped with its revision and can be read", async () => {
    const store = await fresh();
    const before = store.revision();
    const item = await store.write(put(WEB, "one"));
    expect(item.revision).toBeGreaterThan(before);
    expect(JSON.parse(item.value)).toEqual({ text: "one", revision: item.revision });
    expect(await store.get(WEB)).toEqual(item);
    expect(store.revision()).toBe(item.revision);
    expect(item.terms.labels).toEqual({ text: "one" });
  });

  test("an update needs the current revision", async () => {
    const store = await fresh();
    const one = await store.write(put(WEB, "one"));
    const two = await store.write(put(WEB, "two", one.revision));
    expect(two.revision).toBeGreaterThan(one.revision);
    const error = await failure(store.write(put(WEB, "late", one.revision)));
    expect(error).toBeInstanceOf(ConflictError);
    expect((error as ConflictError).current).toEqual(two);
    expect(textOf(await store.get(WEB))).toBe("two");
    expect(store.revision()).toBe(two.revision);
  });

  test("a create needs an absent key, an update or delete a present one", async () => {
    const store = await fresh();
    const one = await store.write(put(WEB, "one"));
    expect(await failure(store.write(put(WEB, "again")))).toBeInstanceOf(ConflictError);
    const absent = await failure(store.write(put("core/pods/default/no", "x", one.revision)));
    expect(absent).toBeInstanceOf(ConflictError);
    expect((absent as ConflictError).current).toBeUndefined();
    const gone = await failure(store.write({ key: "core/pods/default/no", expect: 7 }));
    expect(gone).toBeInstanceOf(ConflictError);
  });

  test("a delete answers the last value at the revision of the delete", async () => {
    const store = await fresh();
    const one = await store.write(put(WEB, "one"));
    const last = await store.write({ key: WEB, expect: one.revision });
    expect(last.revision).toBeGreaterThan(one.revision);
    expect(JSON.parse(last.value)).toEqual({ text: "one", revision: last.revision });
    expect(await store.get(WEB)).toBeUndefined();
    const again = await store.write(put(WEB, "new life"));
    expect(again.revision).toBeGreaterThan(last.revision);
    expect(textOf(await store.get(WEB))).toBe("new life");
  });
}

function raceCases(fresh: Fresh): void {
  test("of many writers that saw the same state one wins, the others see the winner", async () => {
    const store = await fresh();
    const base = await store.write(put(WEB, "base"));
    const all = await Promise.allSettled(
      Array.from({ length: 20 }, (_, i) => store.write(put(WEB, `w${i}`, base.revision))),
    );
    const won = all.filter((result) => result.status === "fulfilled");
    expect(won.length).toBe(1);
    const current = await store.get(WEB);
    for (const result of all) {
      if (result.status === "rejected") expect(result.reason.current).toEqual(current);
    }
  });

  test("a delete, and a create after it, can be queued in one turn", async () => {
    const store = await fresh();
    const one = await store.write(put(WEB, "one"));
    const watch = record(store, PODS, one.revision);
    const [gone, back] = await Promise.all([
      store.write({ key: WEB, expect: one.revision }),
      store.write(put(WEB, "two")),
    ]);
    await turn();
    expect(back.revision).toBeGreaterThan(gone.revision);
    expect(watch.changes.map((change) => change.type)).toEqual(["delete", "put"]);
    expect(watch.changes[1]?.previous).toBeUndefined();
    expect(textOf(await store.get(WEB))).toBe("two");
  });

  test("a lazy write is a write like any other to readers", async () => {
    const store = await fresh();
    const one = await store.write(put(WEB, "one"));
    const watch = record(store, PODS, one.revision);
    const two = await store.write({ ...put(WEB, "two", one.revision), durability: "lazy" });
    expect(two.revision).toBeGreaterThan(one.revision);
    const late = store.write({ ...put(WEB, "x", one.revision), durability: "lazy" });
    expect(await failure(late)).toBeInstanceOf(ConflictError);
    const gone = await store.write({ key: WEB, expect: two.revision, durability: "lazy" });
    await turn();
    expect(watch.changes.map((c) => c.revision)).toEqual([two.revision, gone.revision]);
    expect(await store.get(WEB)).toBeUndefined();
  });

  test("more waiting writes than the limit are refused, the others go through", async () => {
    const store = await fresh({ storeQueueMax: 3 });
    const all = await Promise.allSettled(
      Array.from({ length: 5 }, (_, i) => store.write(put(`core/pods/default/p${i}`, "x"))),
    );
    const refused = all.filter((result) => result.status === "rejected");
    expect(refused.map((result) => result.reason instanceof BusyError)).toEqual([true, true]);
    expect(store.count(PODS)).toBe(3);
    await store.write(put(WEB, "room again"));
  });
}

function listCases(fresh: Fresh): void {
  async function filled(): Promise<Store> {
    const store = await fresh();
    const keys = ["b/x", "a/y", "ab/z", "a/x", "a/ä"].map((rest) => `core/pods/${rest}`);
    keys.push("core/podtemplates/a/x", "apps/pods/a/x", "core/nodes/n1");
    await Promise.all(keys.map((key) => store.write(put(key, key))));
    return store;
  }

  test("a prefix lists its keys in order, and nothing else", async () => {
    const store = await filled();
    const pods = await store.list({ prefix: PODS });
    expect(pods.items.map((item) => item.key)).toEqual([
      "core/pods/a/x",
      "core/pods/a/y",
      "core/pods/a/ä",
      "core/pods/ab/z",
      "core/pods/b/x",
    ]);
    expect(pods.revision).toBe(store.revision());
    expect(pods.next).toBeUndefined();
    const one = await store.list({ prefix: "core/pods/a/" });
    expect(one.items.map((item) => item.key)).toEqual(pods.items.slice(0, 3).map((i) => i.key));
    expect((await store.list({ prefix: "core/secrets/" })).items).toEqual([]);
    expect((await store.list({ prefix: "core/pods/c/" })).items).toEqual([]);
    expect((await store.list({ prefix: "core/nodes/" })).items.length).toBe(1);
  });

  test("counts are those of the lists", async () => {
    const store = await filled();
    for (const prefix of [PODS, "core/pods/a/", "core/pods/c/", "core/none/"]) {
      expect(store.count(prefix)).toBe((await store.list({ prefix })).items.length);
    }
  });

  test("pages follow one another and tell what remains", async () => {
    const store = await filled();
    const first = await store.list({ prefix: PODS, limit: 2 });
    expect(first.items.length).toBe(2);
    expect(first.remaining).toBe(3);
    const second = await store.list({ prefix: PODS, limit: 2, after: first.next ?? "" });
    expect(second.items.length).toBe(2);
    expect(second.remaining).toBe(1);
    const third = await store.list({ prefix: PODS, limit: 2, after: second.next ?? "" });
    expect(third.items.length).toBe(1);
    expect(third.next).toBeUndefined();
    expect(third.remaining).toBeUndefined();
    const exact = await store.list({ prefix: PODS, limit: 5 });
    expect(exact.next).toBeUndefined();
  });

  test("a filter sees terms and keys; a next page is promised only when it has items", async () => {
    const store = await filled();
    const filter = (terms: Item["terms"], key: string) =>
      terms.labels["text"] === key && key.includes("/a/");
    const first = await store.list({ prefix: PODS, limit: 2, filter });
    expect(first.items.length).toBe(2);
    expect(first.remaining).toBeUndefined();
    const rest = await store.list({ prefix: PODS, limit: 2, filter, after: first.next ?? "" });
    expect(rest.items.length).toBe(1);
    expect(rest.next).toBeUndefined();
    const all = await store.list({ prefix: PODS, limit: 3, filter });
    expect(all.next).toBeUndefined();
  });
}

function pastCases(fresh: Fresh): void {
  test("a list at a revision shows what stood there then", async () => {
    const store = await fresh();
    const key = (name: string) => `core/pods/default/${name}`;
    const a = await store.write(put(key("a"), "a1"));
    const b = await store.write(put(key("b"), "b1"));
    const d = await store.write(put(key("d"), "d1"));
    const then = store.revision();
    const before = await store.list({ prefix: PODS });
    await store.write(put(key("a"), "a2", a.revision));
    await store.write({ key: key("b"), expect: b.revision });
    await store.write(put(key("c"), "c1"));
    await store.write({ key: key("d"), expect: d.revision });
    await store.write(put(key("d"), "d2"));
    const past = await store.list({ prefix: PODS, revision: then });
    expect(past).toEqual(before);
    const page = await store.list({ prefix: PODS, revision: then, limit: 1 });
    expect(page.items.map(textOf)).toEqual(["a1"]);
    expect(page.remaining).toBe(2);
    const rest = await store.list({ prefix: PODS, revision: then, after: page.next ?? "" });
    expect(rest.items.map(textOf)).toEqual(["b1", "d1"]);
    expect(rest.revision).toBe(then);
    const now = await store.list({ prefix: PODS });
    expect(now.items.map(textOf)).toEqual(["a2", "c1", "d2"]);
  });

  test("what was compacted is gone, and the future is told apart from it", async () => {
    const store = await fresh();
    const one = await store.write(put(WEB, "one"));
    const two = await store.write(put(WEB, "two", one.revision));
    await store.compact(two.revision);
    const gone = await failure(store.list({ prefix: PODS, revision: one.revision }));
    expect(gone).toBeInstanceOf(GoneError);
    expect(gone).not.toBeInstanceOf(FutureRevisionError);
    expect(() => record(store, PODS, one.revision)).toThrow(GoneError);
    const still = await store.list({ prefix: PODS, revision: two.revision });
    expect(still.items.map(textOf)).toEqual(["two"]);
    const future = store.revision() + 1;
    const early = await failure(store.list({ prefix: PODS, revision: future }));
    expect(early).toBeInstanceOf(FutureRevisionError);
    expect((early as FutureRevisionError).current).toBe(two.revision);
    expect(() => record(store, PODS, future)).toThrow(FutureRevisionError);
    expect(await failure(store.compact(future))).toBeInstanceOf(FutureRevisionError);
  });

  for (const limits of [{ watchHistoryEventsMax: 4 }, { watchHistoryBytesMax: 4096 }]) {
    test(`history is bounded: ${JSON.stringify(limits)}`, async () => {
      const store = await fresh(limits);
      const first = await store.write(put(WEB, "0"));
      let last = first;
      for (let i = 1; i < 20; i++) last = await store.write(put(WEB, `${i}`, last.revision));
      expect(() => record(store, PODS, first.revision)).toThrow(GoneError);
      const watch = record(store, PODS, last.revision - 2);
      await turn();
      expect(watch.changes.map((change) => textOf(change.item))).toEqual(["18", "19"]);
    });
  }
}

function watchCases(fresh: Fresh): void {
  test("a watch gets the past after its revision, then the present, each once", async () => {
    const store = await fresh();
    const one = await store.write(put(WEB, "one"));
    const two = await store.write(put(WEB, "two", one.revision));
    const watch = record(store, PODS, one.revision);
    expect(watch.changes).toEqual([]);
    const three = await store.write(put(WEB, "three", two.revision));
    await store.write({ key: WEB, expect: three.revision });
    await turn();
    expect(watch.changes.map(({ type, item }) => [type, textOf(item)])).toEqual([
      ["put", "two"],
      ["put", "three"],
      ["delete", "three"],
    ]);
    expect(watch.changes.map((change) => textOf(change.previous))).toEqual(["one", "two", "three"]);
    expect(watch.changes.every(({ revision, item }) => revision === item.revision)).toBe(true);
  });

  test("a watch gets its prefix only", async () => {
    const store = await fresh();
    const start = store.revision();
    const all = record(store, PODS, start);
    const one = record(store, "core/pods/a/", start);
    const other = record(store, "core/nodes/", start);
    for (const key of ["core/pods/a/x", "core/pods/ab/x", "core/podsets/a/x", "core/nodes/a"]) {
      await store.write(put(key, "x"));
    }
    await turn();
    expect(all.changes.map((c) => c.item.key)).toEqual(["core/pods/a/x", "core/pods/ab/x"]);
    expect(one.changes.map((c) => c.item.key)).toEqual(["core/pods/a/x"]);
    expect(other.changes.map((c) => c.item.key)).toEqual(["core/nodes/a"]);
  });

  test("watchers share each change, and are told of each once", async () => {
    const store = await fresh();
    const start = store.revision();
    const watches = [record(store, PODS, start), record(store, PODS, start)];
    await Promise.all(
      Array.from({ length: 10 }, (_, i) => store.write(put(`core/pods/default/p${i}`, "x"))),
    );
    await turn();
    for (let i = 0; i < 10; i++) {
      expect(watches[0]?.changes[i]).toBe(watches[1]?.changes[i] as Change);
    }
    expect(watches[0]?.changes.length).toBe(10);
    const late = record(store, PODS, start);
    await turn();
    expect(late.changes[9]).toBe(watches[0]?.changes[9] as Change);
  });

  test("what is acknowledged is visible, and what is not is not", async () => {
    const store = await fresh();
    const writing = store.write(put(WEB, "one"));
    const before = store.revision();
    const seen = await store.get(WEB);
    const item = await writing;
    // A read beside a write comes before it or after it.
    expect([undefined, item]).toContainEqual(seen);
    expect(before).toBeLessThan(item.revision);
    expect(store.revision()).toBeGreaterThanOrEqual(item.revision);
    expect(await store.get(WEB)).toEqual(item);
  });
}

function fieldCases(fresh: Fresh): void {
  test("a watch of a field's value gets what has it, and what had it", async () => {
    const store = await fresh();
    const start = store.revision();
    const seen: string[] = [];
    store.watch({
      prefix: PODS,
      field: { name: "node", value: "one" },
      patient: true,
      after: start,
      onChanges: (changes) => seen.push(...changes.map(({ type, item }) => `${type} ${item.key}`)),
      onClosed: () => {},
    });
    const on = (key: string, node: string, expect = 0): Write => ({
      ...put(key, "x", expect),
      terms: { labels: {}, fields: { node } },
    });
    await store.write(on("core/pods/a/other", "two"));
    const mine = await store.write(on("core/pods/a/mine", "one"));
    const moved = await store.write(on("core/pods/a/mine", "two", mine.revision));
    await store.write({ key: "core/pods/a/mine", expect: moved.revision });
    await store.write(put("core/pods/a/none", "x"));
    await turn();
    expect(seen).toEqual(["put core/pods/a/mine", "put core/pods/a/mine"]);
  });
}

function mannerCases(fresh: Fresh): void {
  test("a closed watch is silent, also when it closes itself", async () => {
    const store = await fresh();
    const start = store.revision();
    await store.write(put("core/pods/default/before", "x"));
    const silent = record(store, PODS, start);
    silent.close();
    let calls = 0;
    const watch = store.watch({
      prefix: PODS,
      after: store.revision(),
      onChanges: () => {
        calls++;
        watch.close();
      },
      onClosed: () => {},
    });
    await store.write(put("core/pods/default/a", "x"));
    await turn();
    await store.write(put("core/pods/default/b", "x"));
    await turn();
    expect(silent.changes).toEqual([]);
    expect(calls).toBe(1);
  });

  test("writes and watches from inside a watcher never call back into it", async () => {
    const store = await fresh();
    const seen: string[] = [];
    const inner: string[] = [];
    const written: Array<Promise<unknown>> = [];
    let inside = false;
    store.watch({
      prefix: PODS,
      after: store.revision(),
      onChanges: (changes) => {
        expect(inside).toBe(false);
        inside = true;
        for (const { item, revision } of changes) {
          seen.push(item.key);
          if (!item.key.endsWith("/a")) continue;
          const lazy = { ...put("core/pods/default/b", "x"), durability: "lazy" } as const;
          written.push(store.write(lazy));
          store.watch({
            prefix: PODS,
            after: revision - 1,
            onChanges: (late) => inner.push(...late.map((change) => change.item.key)),
            onClosed: () => {},
          });
          expect(inner).toEqual([]);
        }
        inside = false;
      },
      onClosed: () => {},
    });
    await store.write(put("core/pods/default/a", "x"));
    await turn();
    await Promise.all(written);
    await store.write(put("core/pods/default/c", "x"));
    await turn();
    const all = ["a", "b", "c"].map((name) => `core/pods/default/${name}`);
    expect(seen).toEqual(all);
    expect(inner).toEqual(all);
  });

  test("a watcher that throws ends; the others go on", async () => {
    const store = await fresh();
    const closed = Promise.withResolvers<Error>();
    store.watch({
      prefix: PODS,
      after: store.revision(),
      onChanges: () => {
        throw new Error("broken watcher");
      },
      onClosed: closed.resolve,
    });
    const good = record(store, PODS, store.revision());
    await store.write(put(WEB, "one"));
    expect((await closed.promise).cause).toEqual(new Error("broken watcher"));
    expect(good.changes.length).toBe(1);
  });
}

function endCases(fresh: Fresh, open: OpenStore): void {
  test("a closed store hands over what it has, ends its watches and refuses more", async () => {
    const store = await fresh();
    const watch = record(store, PODS, store.revision());
    const writing = store.write(put(WEB, "one"));
    const closing = store.close();
    expect(textOf(await writing)).toBe("one");
    await closing;
    expect((await watch.closed).message).toContain("closed");
    expect(watch.changes.map((change) => textOf(change.item))).toEqual(["one"]);
    expect(await failure(store.write(put(WEB, "two")))).toBeInstanceOf(Error);
    expect(await failure(store.get(WEB))).toBeInstanceOf(Error);
    expect(await failure(store.list({ prefix: PODS }))).toBeInstanceOf(Error);
    expect(() => record(store, PODS, 0)).toThrow();
    await store.close();
  });

  test("what is on the disk outlives the process, and revisions go on", async () => {
    const under = await open();
    try {
      if (under.reopen === undefined) return;
      const one = await under.store.write(put(WEB, "one"));
      const two = await under.store.write(put(WEB, "zwei ✓", one.revision));
      const other = await under.store.write(put("core/pods/default/x", "x"));
      await under.store.write({ key: other.key, expect: other.revision });
      await under.store.write({ ...put("core/pods/default/lazy", "z"), durability: "lazy" });
      const last = under.store.revision();
      const again = await under.reopen();
      expect(again.revision()).toBeGreaterThanOrEqual(last);
      expect(await again.get(WEB)).toEqual(two);
      const list = await again.list({ prefix: PODS });
      expect(list.items.map(textOf)).toEqual(["z", "zwei ✓"]);
      expect(() => record(again, PODS, two.revision - 1)).toThrow(GoneError);
      const watch = record(again, PODS, again.revision());
      const three = await again.write(put(WEB, "three", two.revision));
      expect(three.revision).toBeGreaterThan(last);
      await turn();
      expect(watch.changes.map((change) => textOf(change.previous))).toEqual(["zwei ✓"]);
    } finally {
      await under.cleanUp();
    }
  });
}
