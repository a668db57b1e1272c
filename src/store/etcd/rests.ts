/** Items that a write rests on: it is done only where they are as they were seen. */
import type { Guard } from "#store/etcd/messages.ts";
import {
  ClaimedError,
  type ConflictError,
  type Item,
  StaleError,
  type Write,
} from "#store/store.ts";
import type { View } from "#store/view.ts";

/** As etcd compares them; `offset` is what is added to its revisions. */
export function restsOf({ rests = [] }: Write, prefix: string, offset: number): Guard[] {
  return rests.map(({ key, revision }) => ({ key: prefix + key, revision: revision - offset }));
}

/** Why a write was not done whose own key is as expected; the view is as far as that answer. */
export function unmet(
  view: View,
  { key, rests = [] }: Write,
  now: Item | undefined,
  takes: readonly string[],
): StaleError | ConflictError {
  const changed = rests.find((seen) => view.get(seen.key)?.item.revision !== seen.revision);
  if (changed === undefined) return new ClaimedError(key, now, takes);
  return new StaleError(`${changed.key} changed, and ${key} rests on it`);
}
