/** A datastore whose writes are done only within one term. */
import { storeOver } from "#store/over.ts";
import type { Store, Term } from "#store/store.ts";

export const inTerm = (store: Store, term: Term): Store =>
  storeOver(store, { write: (write) => store.write({ ...write, term }) });
