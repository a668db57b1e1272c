/** Events live an hour, counted from their last change, and there are never too many of them. */
import { decodeItem } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import type { Cancel } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Event } from "#resources/types.gen.ts";
import { ConflictError, type Item } from "#store/store.ts";

const PREFIX = "core/events/";

interface Seen {
  readonly revision: number;
  readonly sinceMs: number;
}

/** When an event that we have not seen change was last written. */
function writtenAt(item: Item, nowMs: number): number {
  const { lastTimestamp, series, metadata } = decodeItem<Event>(item);
  const text = series?.lastObservedTime ?? lastTimestamp ?? metadata.creationTimestamp;
  const at = Date.parse(text);
  return Number.isNaN(at) ? nowMs : Math.min(at, nowMs);
}

/** Deletes what has expired, now and then. Returns its end. */
export function expireEvents(core: Core): Cancel {
  const seen = new Map<string, Seen>();
  let cancel: Cancel = () => {};
  let ended = false;

  async function drop(item: Item): Promise<void> {
    try {
      await core.store.write({ key: item.key, expect: item.revision, durability: "lazy" });
    } catch (error) {
      // It was written again in the meantime: it lives on.
      if (!(error instanceof ConflictError)) throw error;
    }
  }

  async function sweep(): Promise<void> {
    const now = core.clock.now();
    const { items } = await core.store.list({ prefix: PREFIX });
    const dated = items.map((item) => {
      const before = seen.get(item.key);
      const known = before !== undefined && before.revision === item.revision;
      const first = before === undefined ? writtenAt(item, now) : now;
      return { item, sinceMs: known ? before.sinceMs : first };
    });
    seen.clear();
    dated.sort((a, b) => a.sinceMs - b.sinceMs);
    const surplus = dated.length - limits.eventsMax;
    for (const [index, { item, sinceMs }] of dated.entries()) {
      if (index < surplus || now - sinceMs >= core.settings.eventTtlMs) await drop(item);
      else seen.set(item.key, { revision: item.revision, sinceMs });
    }
  }

  function later(): void {
    cancel = core.clock.after(limits.eventSweepMs, () => {
      sweep()
        .catch((error: unknown) => {
          core.log.warn("events could not be swept", { error: messageOf(error) });
        })
        .finally(() => {
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
