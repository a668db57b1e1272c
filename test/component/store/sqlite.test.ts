/** The shared suite on SQLite, in memory and on the disk. */
import { join } from "node:path";
import { openTestStore, tempDir } from "#test/support/store.ts";
import { type OpenLimits, storeSuite } from "#test/support/suites/store.ts";

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
