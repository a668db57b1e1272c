import { expect, test } from "bun:test";
import { limits } from "#base/limits.ts";
import type { CacheChange } from "#client/cache.types.ts";
import { Feed, type Source } from "#client/feed.ts";
import { type Portion, Replica } from "#client/replica.ts";
import { services } from "#resources/kinds/service.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";

const object = (name: string, resourceVersion = "1"): Stored<ApiObject> => ({
  apiVersion: "v1",
  kind: "Service",
  metadata: { namespace: "a", name, uid: name, resourceVersion, creationTimestamp: "" },
});

/** A cache that the test changes. */
function shown(...names: string[]) {
  const objects = new Map(names.map((name) => [`a/${name}`, object(name)]));
  const listeners = new Set<(change: CacheChange<ApiObject>) => void>();
  const first = Promise.withResolvers<void>();
  const cache: Source["cache"] = {
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    indexed: () => [],
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    synced: false,
    whenSynced: () => first.promise,
  };
  const put = (name: string, after: Stored<ApiObject> | undefined) => {
    for (const each of listeners) each({ key: `a/${name}`, before: undefined, after });
  };
  return { cache, put, listeners, synced: first.resolve };
}

/** A reader that takes a message when it is told to. */
function slowReader() {
  const sent: Array<readonly Portion[]> = [];
  const waiting: Array<PromiseWithResolvers<void>> = [];
  const send = (portions: readonly Portion[]) => {
    sent.push(portions);
    const one = Promise.withResolvers<void>();
    waiting.push(one);
    return one.promise;
  };
  const turns = async () => {
    for (let i = 0; i < 10; i++) await Promise.resolve();
  };
  const take = async () => {
    waiting.shift()?.resolve();
    await turns();
  };
  return { sent, waiting, send, take, turns };
}

const names = (portions: readonly Portion[] | undefined) =>
  portions?.flatMap(({ changes }) => changes.map(([key, after]) => (after ? key : `-${key}`)));

test("a replica shows what the caches show: at first, later, and no more", async () => {
  const { cache, put, synced } = shown("x", "y");
  const replica = new Replica();
  const feed = new Feed([{ resource: "services", cache }], async (portions) => {
    for (const portion of structuredClone(portions)) replica.take(portion);
  });
  const there = () =>
    replica
      .of(services)
      .list()
      .map(({ metadata }) => metadata.name);
  await feed.flushed();
  expect(there()).toEqual(["x", "y"]);
  expect(replica.of(services).synced).toBe(false);
  synced();
  await replica.of(services).whenSynced();
  const seen: unknown[] = [];
  const end = replica.of(services).onChange(({ key, before, after }) => {
    seen.push([key, before?.metadata.resourceVersion, after?.metadata.resourceVersion]);
  });
  put("x", undefined);
  put("y", object("y", "2"));
  put("z", object("z"));
  await feed.flushed();
  expect(there()).toEqual(["y", "z"]);
  expect(seen).toEqual([
    ["a/x", "1", undefined],
    ["a/y", "1", "2"],
    ["a/z", undefined, "1"],
  ]);
  end();
  put("y", undefined);
  await feed.flushed();
  expect(seen).toHaveLength(3);
});

test("for a slow reader only the newest state of each object waits", async () => {
  const { cache, put } = shown("x");
  const { sent, send, take, turns } = slowReader();
  new Feed([{ resource: "services", cache }], send);
  await turns();
  expect(sent).toHaveLength(1);
  for (let revision = 2; revision < 1_000; revision++) put("x", object("x", `${revision}`));
  await turns();
  expect(sent).toHaveLength(1);
  await take();
  expect(sent).toHaveLength(2);
  expect(sent[1]).toEqual([
    { resource: "services", changes: [["a/x", object("x", "999")]], synced: false },
  ]);
});

test("many objects come in parts, and the last one says that it was all", async () => {
  const many = limits.threadObjectsMax;
  const { cache, synced } = shown(...Array.from({ length: 2 * many + 1 }, (_, i) => `s${i}`));
  const { sent, send, take, turns } = slowReader();
  synced();
  new Feed([{ resource: "services", cache }], send);
  await turns();
  await take();
  await take();
  expect(sent.map((portions) => names(portions)?.length)).toEqual([many, many, 1]);
  expect(sent.map(([portion]) => portion?.synced)).toEqual([false, false, true]);
});

test("what is not wanted is not fed", async () => {
  const { cache, put } = shown("x", "y");
  const { sent, send, take, turns } = slowReader();
  new Feed([{ resource: "services", cache, has: (key) => key === "a/y" }], send);
  await turns();
  put("x", undefined);
  await take();
  expect(sent.map(names)).toEqual([["a/y"]]);
});

test("it ends with its reader", async () => {
  const { cache, put, listeners } = shown("x");
  const { waiting, send, turns } = slowReader();
  const feed = new Feed([{ resource: "services", cache }], send);
  await turns();
  put("x", undefined);
  waiting[0]?.reject(new Error("gone"));
  await feed.flushed();
  expect(waiting).toHaveLength(1);
  expect(listeners.size).toBe(0);
});
