/** A datastore whose writes are done only within one term. */
import type { Store, Term } from "#store/store.ts";

export const inTerm = (store: Store, term: Term): Store => ({
  revision: () => store.revision(),
  get: (key) => store.get(key),
  known: (key) => store.known(key),
  list: (options) => store.list(options),
  write: (write) => store.write({ ...write, term }),
  watch: (options) => store.watch(options),
  compact: (revision) => store.compact(revision),
  historyBytes: () => store.historyBytes(),
  count: (prefix) => store.count(prefix),
  close: () => store.close(),
});
