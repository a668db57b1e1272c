/** The shared suite on SQLite, in memory and on the disk. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { openTestStore, tempDir } from "#test/support/store.ts";
import { type OpenLimits, put, record, storeSuite, turn } from "#test/support/suites/store.ts";

storeSuite("sqlite in memory", async (limits: OpenLimits = {}) => {
  const store = await openTestStore(":memory:", { limits });
  return { store, cleanUp: () => store.close() };
});

storeSuite("sqlite on disk", async (limits: OpenLimits = {}) => {
  const dir = tempDir();
  const path = join(dir.path, "state.db");
  let store = await openTestStore(path, { limits });
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await openTestStore(path, { limits });
      return store;
    },
    cleanUp: async () => {
      await store.close();
      dir.remove();
    },
  };
});

test("what comes together is told together", async () => {
  const store = await openTestStore(":memory:");
  const watch = record(store, "core/pods/", store.revision());
  const keys = Array.from({ length: 10 }, (_, i) => `core/pods/default/p${i}`);
  await Promise.all(keys.map((key) => store.write(put(key, "x"))));
  await turn();
  expect(watch.changes.length).toBe(10);
  expect(watch.batches.length).toBeLessThan(10);
  await store.close();
});
