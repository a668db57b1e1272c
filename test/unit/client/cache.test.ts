import { describe, expect, test } from "bun:test";
import { silentLog } from "#base/log.ts";
import { createCaches } from "#client/cache.ts";
import type { Index, Tally } from "#client/cache.types.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { fromNano } from "#resources/quantity.ts";
import type { ConfigMap } from "#resources/types.gen.ts";
import { fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";

function setup() {
  const api = new FakeApi();
  const clock = fakeClock();
  let lists = 0;
  api.fault = (method, path) => {
    if (method === "GET" && path.endsWith("configmaps")) lists++;
    return undefined;
  };
  const caches = createCaches({ client: api.client, clock, log: silentLog });
  return { api, clock, caches, lists: () => lists };
}

const map = (name: string, team = "a", namespace = "x"): ConfigMap => ({
  metadata: { namespace, name, labels: { team } },
});
const path = (name: string, namespace = "x") =>
  `/api/v1/namespaces/${namespace}/configmaps/${name}`;
const byTeam: Index<ConfigMap> = {
  name: "team",
  values: (object) => [object.metadata.labels?.["team"] ?? ""],
};

describe("a cache", () => {
  test("lists, watches, and tells each change once, after it took it", async () => {
    const { api, clock, caches } = setup();
    api.put(configMaps, map("one"));
    const cache = caches.of(configMaps);
    const told: string[] = [];
    cache.onChange(({ key, before, after }) => {
      expect(cache.get(key)).toBe(after);
      told.push(`${key} ${before ? "-" : ""}${after ? "+" : ""}`);
    });
    expect(cache.synced).toBe(false);
    await clock.settle();
    expect(cache.synced).toBe(true);
    api.put(configMaps, map("two"));
    api.put(configMaps, map("one", "b"));
    api.remove(path("two"));
    await clock.settle();
    expect(told).toEqual(["x/one +", "x/two +", "x/one -+", "x/two -"]);
    expect(cache.list().map((object) => object.metadata.name)).toEqual(["one"]);
    expect(cache.list("y")).toEqual([]);
    caches.stop();
  });

  test("keeps indexes through changes", async () => {
    const { api, clock, caches } = setup();
    api.put(configMaps, map("one", "a"));
    const cache = caches.of(configMaps);
    await clock.settle();
    const names = (team: string) => cache.indexed(byTeam, team).map((o) => o.metadata.name);
    expect(names("a")).toEqual(["one"]);
    api.put(configMaps, map("two", "a"));
    api.put(configMaps, map("one", "b"));
    await clock.settle();
    expect([names("a"), names("b")]).toEqual([["two"], ["one"]]);
    api.remove(path("two"));
    await clock.settle();
    expect(names("a")).toEqual([]);
    caches.stop();
  });

  test("keeps running sums through changes, and goes through no other object", async () => {
    const { api, clock, caches } = setup();
    for (const name of ["one", "two", "three"]) api.put(configMaps, map(name));
    api.put(configMaps, map("far", "a", "y"));
    const cache = caches.of(configMaps);
    await clock.settle();
    let shares = 0;
    const byTeam: Tally<ConfigMap, { team: string }> = {
      name: "team",
      share({ metadata }) {
        shares++;
        const team = metadata.labels?.["team"] ?? "";
        return { at: metadata.namespace ?? "", group: { team }, amounts: { tenths: 0.1 } };
      },
    };
    const sums = (at: string) =>
      cache.sums(byTeam, at).map(({ group, objects, amounts }) => {
        return `${group.team}: ${objects} ${fromNano(amounts.get("tenths") ?? 0n)}`;
      });
    expect(sums("x")).toEqual(["a: 3 0.3"]);
    expect(sums("y")).toEqual(["a: 1 0.1"]);
    expect(shares).toBe(4);
    api.put(configMaps, map("one", "b"));
    await clock.settle();
    expect(shares).toBe(6);
    expect(sums("x")).toEqual(["a: 2 0.2", "b: 1 0.1"]);
    api.remove(path("one"));
    api.remove(path("far", "y"));
    await clock.settle();
    expect(shares).toBe(8);
    expect(sums("x")).toEqual(["a: 2 0.2"]);
    expect(sums("y")).toEqual([]);
    expect([cache.count("x"), cache.count("y")]).toEqual([2, 0]);
  });

  test("goes on from its place when the watch ends, without listing again", async () => {
    const { api, clock, caches, lists } = setup();
    const cache = caches.of(configMaps);
    await clock.settle();
    api.cut();
    api.put(configMaps, map("while-away"));
    await clock.advance(200);
    expect(cache.get("x/while-away")).toBeDefined();
    // One list and two watches.
    expect(lists()).toBe(3);
    caches.stop();
  });

  test("lists again when its place is gone, and tells missed deletions", async () => {
    const { api, clock, caches } = setup();
    api.put(configMaps, map("stays"));
    api.put(configMaps, map("goes"));
    const cache = caches.of(configMaps);
    await clock.settle();
    const told: string[] = [];
    cache.onChange(({ key, after }) => told.push(`${key} ${after ? "+" : "-"}`));
    api.cut();
    api.remove(path("goes"));
    api.put(configMaps, map("new"));
    api.compacted = api.revision;
    await clock.advance(500);
    expect(told).toEqual(["x/new +", "x/goes -"]);
    caches.stop();
  });

  test("backs off while the API is away, and comes back", async () => {
    const { api, clock, caches } = setup();
    let tries = 0;
    api.fault = () => {
      tries++;
      return new Response("no", { status: 503 });
    };
    const cache = caches.of(configMaps);
    await clock.advance(10_000);
    expect(tries).toBeGreaterThan(4);
    expect(tries).toBeLessThan(12);
    api.fault = undefined;
    await clock.advance(10_000);
    expect(cache.synced).toBe(true);
    caches.stop();
  });

  test("a watch that always ends at once is not spun", async () => {
    const { api, clock, caches } = setup();
    let watches = 0;
    const fetch = api.client.watch.bind(api.client);
    api.client.watch = (kind, query) => {
      watches++;
      queueMicrotask(() => api.cut());
      return fetch(kind, query);
    };
    caches.of(configMaps);
    await clock.advance(10_000);
    expect(watches).toBeLessThan(20);
    caches.stop();
  });

  test("is renewed by a list asked for later, though its watch is silent", async () => {
    const { api, clock, caches } = setup();
    api.put(configMaps, map("old"));
    const cache = caches.of(configMaps);
    await clock.settle();
    api.held = "configmaps";
    api.put(configMaps, map("new"));
    await clock.settle();
    expect(cache.get("x/new")).toBeUndefined();
    const renewed = caches.renew();
    // A list is under way already: what it shows may be older than the second call.
    const again = caches.renew();
    api.remove(path("old"));
    await clock.settle();
    await Promise.all([renewed, again]);
    expect(cache.list().map((object) => object.metadata.name)).toEqual(["new"]);
    caches.stop();
  });

  test("a renewal outlives a list that fails, and waits for none where none comes", async () => {
    const { api, clock, caches } = setup();
    caches.of(configMaps);
    await clock.settle();
    const wrong = (code: number) => () => Response.json({ kind: "Status", code }, { status: code });
    api.fault = wrong(503);
    let renewed = false;
    const waiting = caches.renew().then(() => {
      renewed = true;
    });
    await clock.advance(1000);
    expect(renewed).toBe(false);
    api.fault = wrong(404);
    await clock.advance(10_000);
    await waiting;
    expect(renewed).toBe(true);
    api.fault = undefined;
    caches.stop();
    await caches.renew();
  });

  test("knows which writes it shows", async () => {
    const { api, clock, caches } = setup();
    const cache = caches.of(configMaps);
    await clock.settle();
    api.held = "configmaps";
    const made = await api.client.create(configMaps, map("mine"));
    await clock.settle();
    expect(cache.seen("x/mine", made.metadata.resourceVersion)).toBe(false);
    api.release();
    await clock.settle();
    expect(cache.seen("x/mine", made.metadata.resourceVersion)).toBe(true);
    api.put(configMaps, map("later"));
    await clock.settle();
    expect(cache.seen("x/already-deleted", made.metadata.resourceVersion)).toBe(true);
    caches.stop();
  });

  test("is shared, and metadata comes from the full one where there is one", async () => {
    const { caches, clock } = setup();
    expect(caches.of(configMaps)).toBe(caches.of(configMaps));
    expect(caches.of(configMaps, { namespace: "x" })).not.toBe(caches.of(configMaps));
    const full: unknown = caches.of(configMaps);
    expect(caches.metadataOf(configMaps)).toBe(full as ReturnType<typeof caches.metadataOf>);
    await clock.settle();
    caches.stop();
  });
});
