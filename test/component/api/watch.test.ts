import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { startApi, type TestApi, type TestWatch } from "#test/support/api.ts";
import { fakeClock } from "#test/support/clock.ts";

let api: TestApi;
const clock = fakeClock();
beforeAll(async () => {
  api = await startApi({ clock });
});
afterAll(() => api.close());

let namespaces = 0;
/** A namespace of its own for each test, so that none sees another's events. */
async function fresh(): Promise<string> {
  const name = `w${namespaces++}`;
  await api.create("/api/v1/namespaces", { metadata: { name } });
  return `/api/v1/namespaces/${name}/configmaps`;
}

const cm = (name: string, labels: Record<string, string> = {}) => ({
  metadata: { name, labels },
  data: { k: "v" },
});
const MERGE = { headers: { "content-type": "application/merge-patch+json" } };
const relabel = (path: string, name: string, app: string) =>
  api.call("PATCH", `${path}/${name}`, { metadata: { labels: { app } } }, MERGE);
const versionOf = async (path: string): Promise<string> =>
  (await api.call("GET", path)).body.metadata.resourceVersion;

async function take(watch: TestWatch, count: number): Promise<string[]> {
  const seen: string[] = [];
  for (let i = 0; i < count; i++) {
    const { type, object } = await watch.next();
    seen.push(`${type} ${object.metadata.name}`);
  }
  return seen;
}

describe("events", () => {
  test("without a version it begins with what is there", async () => {
    const path = await fresh();
    await api.create(path, cm("a"));
    const watch = await api.watch(`${path}?watch=true`);
    expect(await take(watch, 1)).toEqual(["ADDED a"]);
    await api.create(path, cm("b"));
    await relabel(path, "b", "x");
    await api.call("DELETE", `${path}/a`);
    expect(await take(watch, 3)).toEqual(["ADDED b", "MODIFIED b", "DELETED a"]);
    watch.end();
  });

  test("from a version it shows what came after, each once and in order", async () => {
    const path = await fresh();
    const version = await versionOf(path);
    for (const name of ["a", "b", "c"]) await api.create(path, cm(name));
    const watch = await api.watch(`${path}?watch=1&resourceVersion=${version}`);
    expect(await take(watch, 3)).toEqual(["ADDED a", "ADDED b", "ADDED c"]);
    watch.end();
  });

  test("a deletion shows the last state at the revision of the deletion", async () => {
    const path = await fresh();
    await api.create(path, cm("a"));
    const version = await versionOf(path);
    const watch = await api.watch(`${path}?watch=1&resourceVersion=${version}`);
    await api.call("DELETE", `${path}/a`);
    const { type, object } = await watch.next();
    expect(type).toBe("DELETED");
    expect(object.data).toEqual({ k: "v" });
    expect(Number(object.metadata.resourceVersion)).toBeGreaterThan(Number(version));
    watch.end();
  });

  test("an object that begins or ceases to match is added or deleted", async () => {
    const path = await fresh();
    await api.create(path, cm("a", { app: "no" }));
    const query = `watch=1&resourceVersion=${await versionOf(path)}&labelSelector=app%3Dyes`;
    const watch = await api.watch(`${path}?${query}`);
    await relabel(path, "a", "yes");
    await api.call("PATCH", `${path}/a`, { data: { k: "2" } }, MERGE);
    await relabel(path, "a", "no");
    await api.call("PATCH", `${path}/a`, { data: { k: "3" } }, MERGE);
    await api.create(path, cm("b", { app: "yes" }));
    expect(await take(watch, 4)).toEqual(["ADDED a", "MODIFIED a", "DELETED a", "ADDED b"]);
    watch.end();
  });

  test("one name is watched by field selector and by path", async () => {
    const path = await fresh();
    const version = await versionOf(path);
    const byField = await api.watch(
      `${path}?watch=1&resourceVersion=${version}&fieldSelector=metadata.name%3Db`,
    );
    const byPath = await api.watch(`${path}/b?watch=1&resourceVersion=${version}`);
    for (const name of ["a", "b", "c"]) await api.create(path, cm(name));
    for (const watch of [byField, byPath]) {
      expect(await take(watch, 1)).toEqual(["ADDED b"]);
      watch.end();
    }
  });
});

describe("the start of a watch", () => {
  test("sendInitialEvents ends what was there with a bookmark", async () => {
    const path = await fresh();
    await api.create(path, cm("a"));
    const query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    const watch = await api.watch(`${path}?${query}&allowWatchBookmarks=true`);
    expect((await watch.next()).type).toBe("ADDED");
    const { type, object } = await watch.next();
    expect(type).toBe("BOOKMARK");
    expect(object.metadata.annotations).toEqual({ "k8s.io/initial-events-end": "true" });
    expect(object.kind).toBe("ConfigMap");
    watch.end();
  });

  test.each([
    ["sendInitialEvents=true", 422],
    ["resourceVersion=abc", 422],
    ["resourceVersionMatch=Exact&resourceVersion=1", 422],
    ["resourceVersion=99999999", 504],
    ["fieldSelector=spec.foo%3Dbar", 400],
    ["labelSelector=a%3D%3D%3Db", 400],
    ["timeoutSeconds=x", 400],
  ])("%s is refused", async (query, code) => {
    const watch = await api.watch(`${await fresh()}?watch=1&${query}`);
    expect(watch.code).toBe(code);
  });

  test("a version that the history has forgotten is 410", async () => {
    const path = await fresh();
    const version = await versionOf(path);
    await api.create(path, cm("a"));
    await api.create(path, cm("b"));
    await api.store.compact(api.store.revision());
    const watch = await api.watch(`${path}?watch=1&resourceVersion=${version}`);
    expect(watch.code).toBe(410);
    expect((await watch.next()).reason).toBe("Expired");
  });
});

describe("the life of a watch", () => {
  test("it ends after timeoutSeconds", async () => {
    const path = await fresh();
    const watch = await api.watch(`${path}?watch=1&timeoutSeconds=5`);
    await clock.advance(5_000);
    expect(await watch.rest()).toEqual([]);
  });

  test("bookmarks tell a quiet watcher the present revision", async () => {
    const path = await fresh();
    const version = await versionOf(path);
    const watch = await api.watch(
      `${path}?watch=1&resourceVersion=${version}&allowWatchBookmarks=1`,
    );
    const other = await fresh();
    await api.create(other, cm("elsewhere"));
    await clock.advance(61_000);
    const { type, object } = await watch.next();
    expect(type).toBe("BOOKMARK");
    expect(Number(object.metadata.resourceVersion)).toBe(api.store.revision());
    // No second one while nothing happens anywhere.
    await clock.advance(200_000);
    await api.create(path, cm("here"));
    expect((await watch.next()).type).toBe("ADDED");
    watch.end();
  });

  test("a watcher that does not read is cut, and others are not", async () => {
    const path = await fresh();
    const version = await versionOf(path);
    const lazy = await api.raw(`${path}?watch=1&resourceVersion=${version}`);
    const eager = await api.watch(`${path}?watch=1&resourceVersion=${version}`);
    const reading = take(eager, 30);
    for (let i = 0; i < 30; i++) {
      await api.create(path, { ...cm(`n${i}`), data: { big: "x".repeat(400_000) } });
    }
    expect(await reading).toHaveLength(30);
    const reader = lazy.body?.getReader();
    const read = async (): Promise<void> => {
      for (let done = false; !done; ) done = (await reader?.read())?.done ?? true;
    };
    await expect(read()).rejects.toThrow("the client does not read");
    eager.end();
  });
});

describe("a long beginning", () => {
  test("is no reason to be cut: it is made as the client reads", async () => {
    const path = await fresh();
    const data = { big: "x".repeat(500_000) };
    for (let i = 0; i < 25; i++) await api.create(path, { ...cm(`n${i}`), data });
    const watch = await api.watch(`${path}?watch=1`);
    await api.create(path, cm("later"));
    expect((await take(watch, 26)).at(-1)).toBe("ADDED later");
    watch.end();
  });
});

describe("other forms", () => {
  test("tables send their columns once", async () => {
    const path = await fresh();
    await api.create(path, cm("a"));
    const accept = "application/json;as=Table;v=v1;g=meta.k8s.io";
    const watch = await api.watch(`${path}?watch=1`, { accept });
    const first = (await watch.next()).object;
    expect(first.kind).toBe("Table");
    expect(first.columnDefinitions.map((c: { name: string }) => c.name)).toEqual([
      "Name",
      "Data",
      "Age",
    ]);
    expect(first.rows[0].cells).toEqual(["a", 1, "0s"]);
    await api.create(path, cm("b"));
    const second = (await watch.next()).object;
    expect(second.columnDefinitions).toBeNull();
    expect(second.rows[0].object.metadata.name).toBe("b");
    watch.end();
  });

  test("metadata alone", async () => {
    const path = await fresh();
    await api.create(path, cm("a"));
    const accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io";
    const watch = await api.watch(`${path}?watch=1`, { accept });
    const { object } = await watch.next();
    expect(object.kind).toBe("PartialObjectMetadata");
    expect(object.data).toBeUndefined();
    watch.end();
  });
});
