/** Names that one key may hold at a time, where several servers write to one etcd. */
import { expect, test } from "bun:test";
import { ClaimedError, type Codec, type Item, type Store, type Write } from "#store/store.ts";
import { etcdStores } from "#test/support/etcdstores.ts";
import { testCodec } from "#test/support/suites/store.ts";

const on = etcdStores();

/** Values are `{"text":T,"holds":[NAME]}`. */
const codec: Codec = { ...testCodec, claims: (_, value) => JSON.parse(value).holds ?? [] };

const server = (prefix: string, of: Codec = codec): Promise<Store> => on.open(prefix, of);

const holding = (key: string, holds: string[], before?: Item): Write => ({
  key,
  value: JSON.stringify({ text: key, holds }),
  expect: before?.revision ?? 0,
});

const A = "core/services/x/a";
const B = "core/services/x/b";

test("of many keys that claim one name at once, through two servers, one has it", async () => {
  const prefix = on.prefix();
  const both = [await server(prefix), await server(prefix)];
  const writes = Array.from({ length: 40 }, (_, i) =>
    both[i % 2]?.write(holding(`core/services/x/s${i}`, ["one", `own-${i}`])),
  );
  const results = await Promise.allSettled(writes);
  const refused = results.filter((result) => result.status === "rejected");
  expect(refused.length).toBe(39);
  for (const { reason } of refused) expect(reason).toBeInstanceOf(ClaimedError);
  expect((await both[0]?.list({ prefix: "core/services/" }))?.items.length).toBe(1);
});

test("a name is free again with its key, and when its key lets go of it", async () => {
  const prefix = on.prefix();
  const [one, two] = [await server(prefix), await server(prefix)];
  let a = await one.write(holding(A, ["x", "y"]));
  await expect(two.write(holding(B, ["y"]))).rejects.toBeInstanceOf(ClaimedError);
  a = await two.write(holding(A, ["x"], await two.get(A)));
  const b = await one.write(holding(B, ["y"]));
  await expect(one.write(holding(B, ["y", "x"], b))).rejects.toBeInstanceOf(ClaimedError);
  await one.write({ key: A, expect: a.revision });
  const both = await two.write(holding(B, ["y", "x"], await two.get(B)));
  await two.write({ key: B, expect: both.revision });
  await one.write(holding(A, ["x", "y"]));
});

test("what was written without claims gets them when a server starts", async () => {
  const prefix = on.prefix();
  const older = await server(prefix, testCodec);
  const keys = Array.from({ length: 150 }, (_, i) => `core/services/x/old-${i}`);
  await Promise.all(keys.map((key, i) => older.write(holding(key, [`n${i}`, `m${i}`]))));
  await older.close();
  const [one, two] = await Promise.all([server(prefix), server(prefix)]);
  for (const name of ["n0", "m74", "n149"]) {
    await expect(one.write(holding(A, [name]))).rejects.toBeInstanceOf(ClaimedError);
  }
  const last = await two.get("core/services/x/old-149");
  await two.write({ key: "core/services/x/old-149", expect: last?.revision ?? 0 });
  await one.write(holding(A, ["n149"]));
});

test("two that held one name before there were claims keep it until they go", async () => {
  const prefix = on.prefix();
  const older = await server(prefix, testCodec);
  await older.write(holding(A, ["x"]));
  await older.write(holding(B, ["x"]));
  await older.close();
  const store = await server(prefix);
  const a = await store.write(holding(A, ["x"], await store.get(A)));
  const b = await store.write(holding(B, ["x"], await store.get(B)));
  await store.write({ key: B, expect: b.revision });
  await expect(store.write(holding(B, ["x"]))).rejects.toBeInstanceOf(ClaimedError);
  await store.write({ key: A, expect: a.revision });
  await store.write(holding(B, ["x"]));
});
