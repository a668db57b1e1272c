/** Lists and watches of parts in the server's own process: as over HTTP, without its text. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { type Client, StatusError } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";

const AT = "/api/v1/namespaces/default/configmaps";

let api: TestApi;
let direct: Client;
let remote: Client;

beforeEach(async () => {
  api = await startApi();
  const fetch = (request: Request) => api.api.fetch(request, { user: ADMIN });
  direct = createClient(fetch, { direct: api.api.direct });
  remote = createClient(fetch);
});

afterEach(async () => {
  await api.close();
});

const map = (name: string, app = "web") => ({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name, labels: { app } },
  data: { key: name },
});

test("a list is what HTTP lists, but for the managers", async () => {
  for (const name of ["a", "b", "c"]) await api.create(AT, map(name, name === "c" ? "x" : "web"));
  for (const query of [
    {},
    { namespace: "default" },
    { labelSelector: "app=web" },
    { fieldSelector: "metadata.name=b" },
    { namespace: "kube-system" },
  ]) {
    const [mine, theirs] = [
      await direct.list(configMaps, query),
      await remote.list(configMaps, query),
    ];
    for (const item of theirs.items) delete item.metadata.managedFields;
    expect(mine).toEqual(theirs);
  }
});

test("metadata alone carry nothing else", async () => {
  await api.create(AT, map("a"));
  const { items } = await direct.list(configMaps, { namespace: "default", metadataOnly: true });
  const [only] = items;
  expect(Object.keys(only ?? {}).sort()).toEqual(["apiVersion", "kind", "metadata"]);
  expect(only?.metadata.name).toBe("a");
});

test("a watch tells what a selector begins and ceases to match", async () => {
  const { resourceVersion } = await direct.list(configMaps, {});
  const end = new AbortController();
  const query = { labelSelector: "app=web", resourceVersion, signal: end.signal };
  const seen: string[] = [];
  const watching = (async () => {
    for await (const { type, object } of direct.watch(configMaps, query)) {
      seen.push(`${type} ${object.metadata.name}`);
      if (seen.length === 4) end.abort();
    }
  })();
  const patch = { headers: { "content-type": "application/merge-patch+json" } };
  await api.create(AT, map("a"));
  await api.create(AT, map("other", "x"));
  await api.call("PATCH", `${AT}/a`, { data: { key: "new" } }, patch);
  await api.call("PATCH", `${AT}/a`, { metadata: { labels: { app: "x" } } }, patch);
  await api.call("PATCH", `${AT}/other`, { metadata: { labels: { app: "web" } } }, patch);
  await watching;
  expect(seen).toEqual(["ADDED a", "MODIFIED a", "DELETED a", "ADDED other"]);
});

test("that nothing changed is told without a list, of one kind and one namespace", async () => {
  const at = async () => (await direct.list(configMaps, {})).resourceVersion;
  const unchanged = (resourceVersion: string, client = direct, namespace = "default") =>
    client.unchanged(configMaps, { namespace, resourceVersion });
  const before = await at();
  expect(await unchanged(before)).toBe(true);
  await api.create(AT.replace("configmaps", "secrets"), {
    ...{ apiVersion: "v1", kind: "Secret", metadata: { name: "s" } },
  });
  expect(await unchanged(before)).toBe(true);
  await api.create(AT, map("a"));
  expect(await unchanged(before)).toBe(false);
  expect(await unchanged(before, direct, "other")).toBe(true);
  const between = await at();
  expect(await unchanged(between)).toBe(true);
  await api.call("DELETE", `${AT}/a`);
  expect(await unchanged(between)).toBe(false);
  expect(await unchanged(await at())).toBe(true);
  // What is not known: another process, a history that has ended, a revision yet to come.
  expect(await unchanged(await at(), remote)).toBe(false);
  expect(await unchanged(String(Number(await at()) + 1000))).toBe(false);
});

test("a lost place is 410, a kind that is not served 404, as a client throws them", async () => {
  await api.create(AT, map("a"));
  await api.store.compact(api.store.revision());
  const { signal } = new AbortController();
  const old = direct.watch(configMaps, { resourceVersion: "1", signal });
  const gone = await old[Symbol.asyncIterator]()
    .next()
    .catch((error: unknown) => error);
  expect(gone).toBeInstanceOf(StatusError);
  expect((gone as StatusError).code).toBe(410);
  const strange = { ...endpointSlices, plural: "nothings" };
  const missing = await direct.list(strange).catch((error: unknown) => error);
  expect((missing as StatusError).code).toBe(404);
});

test("the end of the store ends a watch with an error, so that nobody waits for ever", async () => {
  const { resourceVersion } = await direct.list(configMaps, {});
  const { signal } = new AbortController();
  const next = direct.watch(configMaps, { resourceVersion, signal })[Symbol.asyncIterator]().next();
  const outcome = next.then(
    () => "ended",
    () => "failed",
  );
  await api.create(AT, map("a"));
  expect(await outcome).toBe("ended");
  const after = direct.watch(configMaps, { resourceVersion, signal });
  const iterator = after[Symbol.asyncIterator]();
  await iterator.next();
  const last = iterator.next().catch(() => "failed");
  await api.store.close();
  expect(await last).toBe("failed");
});
