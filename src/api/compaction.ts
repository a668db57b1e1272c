/**
 * Forgets what changed longer ago than a client may still go on from, as upstream does: a list that
 * was begun so long ago continues at the present (410 with a new token), a watch lists again.
 */
import type { Core } from "#api/core.ts";
import type { Cancel } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

/** What is older than one interval goes with the next one. Returns its end. */
export function compactHistory({ clock, store, log }: Core): Cancel {
  let cancel: Cancel = () => {};
  let ended = false;

  function later(known: number): void {
    cancel = clock.after(limits.historyCompactMs, () => {
      const now = store.revision();
      store
        .compact(known)
        .catch((error: unknown) => {
          log.warn("the history could not be shortened", { error: messageOf(error) });
        })
        .finally(() => {
          if (!ended) later(now);
        });
    });
  }

  later(store.revision());
  return () => {
    ended = true;
    cancel();
  };
}
