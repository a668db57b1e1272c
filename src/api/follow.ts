/** All objects of a bucket, at hand and up to date: for what every request asks. */
import { followChanges } from "#api/changes.ts";
import { peek } from "#api/codec.ts";
import type { Log } from "#base/log.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type { Item, Store } from "#store/store.ts";

export interface Followed<T extends ApiObject> {
  /** Begins to follow; answers how to end. */
  start(): Promise<() => void>;
  /** In the order of their keys. */
  all(): ReadonlyArray<Stored<T>>;
}

export function follow<T extends ApiObject>(
  store: Store,
  log: Log,
  bucket: string,
  onChange: () => void = () => {},
): Followed<T> {
  const items = new Map<string, Item>();
  let sorted: ReadonlyArray<Stored<T>> | undefined;
  return {
    start: () =>
      followChanges({
        ...{ store, log, prefix: `${bucket}/` },
        onChanges: (changes, isFirst) => {
          for (const { type, item } of changes) {
            if (type === "delete") items.delete(item.key);
            else items.set(item.key, item);
          }
          sorted = undefined;
          if (!isFirst) onChange();
        },
      }),
    all() {
      sorted ??= [...items].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, item]) => peek<T>(item));
      return sorted;
    },
  };
}
