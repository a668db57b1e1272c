/** A datastore that does all as another one does, but for what is changed. */
import type { Store } from "#store/store.ts";

export const storeOver = (store: Store, changed: Partial<Store>): Store => ({
  revision: () => store.revision(),
  get: (key) => store.get(key),
  known: (key) => store.known(key),
  list: (options) => store.list(options),
  write: (write) => store.write(write),
  watch: (options) => store.watch(options),
  compact: (revision) => store.compact(revision),
  historyBytes: () => store.historyBytes(),
  count: (prefix) => store.count(prefix),
  close: () => store.close(),
  ...changed,
});
