/** Several servers on one etcd: what rests on what a server knew, and what it did not hear yet. */
import { expect, test } from "bun:test";
import { createCodec } from "#api/codec.ts";
import { kinds } from "#resources/kinds.ts";
import { storeOver } from "#store/over.ts";
import { type Codec, type Item, StaleError, type Store } from "#store/store.ts";
import { etcdStores } from "#test/support/etcdstores.ts";
import { put, textOf } from "#test/support/suites/store.ts";

const on = etcdStores();

async function servers(codec?: Codec): Promise<[Store, Store]> {
  const prefix = on.prefix();
  return [await on.open(prefix, codec), await on.open(prefix, codec)];
}

const HOME = "core/namespaces/home";
const POD = "core/pods/home/a";

test("a write rests on an item that is as it was seen, or is not done", async () => {
  const [one, two] = await servers();
  const seen = await one.write(put(HOME, "1"));
  const pod = await two.write({ ...put(POD, "a"), rests: [seen] });
  const changed = await one.write(put(HOME, "2", seen.revision));
  const late = two.write({ ...put(POD, "b", pod.revision), rests: [seen] });
  await expect(late).rejects.toBeInstanceOf(StaleError);
  expect(textOf(await one.get(POD))).toBe("a");
  expect(two.known(HOME)).toEqual(changed);
  const next = await two.write({ ...put(POD, "c", pod.revision), rests: [changed] });
  await one.write({ key: HOME, expect: changed.revision });
  const last = two.write({ ...put(POD, "d", next.revision), rests: [changed] });
  await expect(last).rejects.toBeInstanceOf(StaleError);
});

test("a key that another server deleted is free at once", async () => {
  const [one, two] = await servers();
  for (let i = 0; i < 200; i++) {
    const made = await two.write(put(POD, `${i}`));
    await one.write({ key: POD, expect: made.revision });
  }
  expect(await two.get(POD)).toBeUndefined();
});

/** A server that does not hear how one key goes on. */
const deafTo = (store: Store, key: string, seen: Item): Store =>
  storeOver(store, { known: (asked) => (asked === key ? seen : store.known(asked)) });

test("a server that heard nothing of its namespace judges by what stands there", async () => {
  const [one, two] = await servers(createCodec(kinds));
  const api = await on.serve(one);
  await api.create("/api/v1/namespaces", {
    metadata: { name: "home", finalizers: ["example.com/stay"] },
  });
  const late = await on.serve(deafTo(two, HOME, (await two.get(HOME)) as Item));
  const path = "/api/v1/namespaces/home/configmaps";
  const make = (name: string) => late.call("POST", path, { metadata: { name } });
  expect((await make("before")).code).toBe(201);
  const headers = { "content-type": "application/merge-patch+json" };
  const label = { metadata: { labels: { a: "b" } } };
  await api.call("PATCH", "/api/v1/namespaces/home", label, { headers });
  expect((await make("labelled")).code).toBe(201);
  await api.call("DELETE", "/api/v1/namespaces/home");
  expect(await make("late")).toMatchObject({
    code: 403,
    body: { details: { causes: [{ reason: "NamespaceTerminating" }] } },
  });
  expect((await api.call("GET", `${path}/late`)).code).toBe(404);
});

test("a server that heard nothing of an object's changes updates what stands there", async () => {
  const [one, two] = await servers(createCodec(kinds));
  const api = await on.serve(one);
  const path = "/api/v1/namespaces/default/configmaps";
  const at = `${path}/it`;
  await api.create(path, { metadata: { name: "it" }, data: { a: "1" } });
  const seen = (await two.get("core/configmaps/default/it")) as Item;
  const late = await on.serve(deafTo(two, seen.key, seen));
  const merge = { headers: { "content-type": "application/merge-patch+json" } };
  const json = { headers: { "content-type": "application/json-patch+json" } };
  const dataOf = async () => (await api.call("GET", at)).body.data;
  await api.call("PATCH", at, { data: { a: "2", b: "1" } }, merge);
  expect((await late.call("PATCH", at, { data: { c: "1" } }, merge)).code).toBe(200);
  expect(await dataOf()).toEqual({ a: "2", b: "1", c: "1" });
  // As that server knows it, this changes nothing, or does not fit.
  expect((await late.call("PATCH", at, { data: { a: "1" } }, merge)).code).toBe(200);
  expect(await dataOf()).toEqual({ a: "1", b: "1", c: "1" });
  const test = { op: "test", path: "/data/b", value: "1" };
  const remove = { op: "remove", path: "/data/b" };
  expect((await late.call("PATCH", at, [test, remove], json)).code).toBe(200);
  const { metadata } = (await api.call("GET", at)).body;
  const { resourceVersion } = metadata;
  const next = { metadata: { name: "it", resourceVersion }, data: { d: "1" } };
  expect((await late.call("PUT", at, next)).code).toBe(200);
  expect(await dataOf()).toEqual({ d: "1" });
  expect((await late.call("PUT", at, next)).code).toBe(409);
  await api.call("DELETE", at);
  expect((await late.call("PATCH", at, { data: { e: "1" } }, merge)).code).toBe(404);
});
