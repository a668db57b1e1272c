/** Several servers on one etcd: what a leader writes is done only while no other began a term. */
import { expect, test } from "bun:test";
import { createCodec } from "#api/codec.ts";
import { kinds } from "#resources/kinds.ts";
import { type Item, StorageError, type Store, type Term } from "#store/store.ts";
import { ADMIN } from "#test/support/api.ts";
import { etcdStores } from "#test/support/etcdstores.ts";
import { put, textOf } from "#test/support/suites/store.ts";

const on = etcdStores();
const LEASE = "coordination.k8s.io/leases/x/leader";
const POD = "core/pods/x/a";

async function begun(store: Store, lease: Item): Promise<Term> {
  const term = await store.beginTerm?.(lease);
  if (term === undefined) throw new Error("not begun");
  return term;
}

test("a write of a term that another one ended is refused, and is not done", async () => {
  const prefix = on.prefix();
  const [one, two] = [await on.open(prefix), await on.open(prefix)];
  const first = await one.write(put(LEASE, "one"));
  const term = await begun(one, first);
  const pod = await one.write({ ...put(POD, "a"), term });
  const second = await two.write(put(LEASE, "two", first.revision));
  // The Lease alone ends nothing.
  const next = await one.write({ ...put(POD, "b", pod.revision), term });
  const later = await begun(two, second);
  const late = one.write({ ...put(POD, "late", next.revision), term });
  await expect(late).rejects.toBeInstanceOf(StorageError);
  await expect(one.write({ key: POD, expect: next.revision, term })).rejects.toThrow("leads");
  expect(textOf(await two.get(POD))).toBe("b");
  // Who is in no term, and who is in the present one, write on.
  const free = await one.write(put(POD, "c", next.revision));
  expect(textOf(await two.write({ ...put(POD, "d", free.revision), term: later }))).toBe("d");
});

test("no term begins where the Lease is another's by now", async () => {
  const prefix = on.prefix();
  const [one, two] = [await on.open(prefix), await on.open(prefix)];
  const first = await one.write(put(LEASE, "one"));
  const second = await two.write(put(LEASE, "two", first.revision));
  const term = await begun(two, second);
  expect(await one.beginTerm?.(first)).toBeUndefined();
  expect(textOf(await two.write({ ...put(POD, "a"), term }))).toBe("a");
});

test("the API hands a request's term to the datastore", async () => {
  const prefix = on.prefix();
  const store = await on.open(prefix, createCodec(kinds));
  const api = await on.serve(store);
  const path = "/api/v1/namespaces/default/configmaps";
  const { metadata } = await api.create<{ metadata: { resourceVersion?: string; name: string } }>(
    path,
    { metadata: { name: "lease" } },
  );
  const seen = { key: "core/configmaps/default/lease" };
  const revision = Number(metadata.resourceVersion);
  const term = await begun(store, {
    ...seen,
    revision,
    value: "",
    terms: { labels: {}, fields: {} },
  });
  const codes = async (): Promise<number[]> => {
    const ask = async (method: string, at: string, body?: object): Promise<number> => {
      const headers = {
        "content-type": method === "PATCH" ? "application/merge-patch+json" : "application/json",
      };
      const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
      return (await api.raw(at, init, { user: ADMIN, term })).status;
    };
    return [
      await ask("POST", path, { metadata: { generateName: "a-" } }),
      await ask("PATCH", `${path}/lease`, { data: { at: String(Math.random()) } }),
      await ask("GET", `${path}/lease`),
    ];
  };
  expect(await codes()).toEqual([201, 200, 200]);
  const now = await store.get(seen.key);
  await begun(store, now as Item);
  expect(await codes()).toEqual([503, 503, 200]);
});
