/**
 * Forgets what changed longer ago than a client may still go on from, as upstream does: a list that
 * was begun so long ago continues at the present (410 with a new token), a watch lists again. After
 * many changes that is sooner: on a small machine their memory is worth more than their age.
 */
import type { Core } from "#api/core.ts";
import type { Cancel } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

/** Looks again and again. Returns its end. */
export function compactHistory({ clock, store, log }: Core): Cancel {
  let cancel: Cancel = () => {};
  let ended = false;
  /** The newest revision of every look back to the oldest that may count, oldest first. */
  let seen: readonly number[] = [store.revision()];
  let forgotten = 0;

  async function look(): Promise<void> {
    seen = [...seen, store.revision()].slice(-limits.historyCalmLooks - 1);
    const busy = store.historyBytes() > limits.historyCalmBytesMax;
    const old = seen.at(-1 - (busy ? limits.historyBusyLooks : limits.historyCalmLooks));
    if (old === undefined || old <= forgotten) return;
    try {
      await store.compact(old);
      forgotten = old;
    } catch (error) {
      log.warn("the history could not be shortened", { error: messageOf(error) });
    }
  }

  function later(): void {
    cancel = clock.after(limits.historyLookMs, () => {
      void look().finally(() => {
        if (!ended) later();
      });
    });
  }

  later();
  return () => {
    ended = true;
    cancel();
  };
}
