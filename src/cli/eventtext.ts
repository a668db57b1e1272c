/** When an event was seen, as kubectl writes it. */
import { humanDuration } from "#resources/columns/text.ts";
import type { Event } from "#resources/types.gen.ts";

/** When it was last seen, in milliseconds; 0 where nobody says. */
export function lastTime(event: Event): number {
  const text =
    event.series?.lastObservedTime ??
    event.lastTimestamp ??
    event.eventTime ??
    event.firstTimestamp;
  return text ? Date.parse(text) : 0;
}

const age = (sinceMs: number, now: number): string =>
  sinceMs === 0 ? "<unknown>" : humanDuration(Math.max(0, now - sinceMs));

/** `2m`, or `2m (x3 over 10m)` for one that came again. */
export function lastSeen(event: Event, now: number): string {
  const count = event.series?.count ?? event.count ?? 1;
  const last = age(lastTime(event), now);
  if (count <= 1) return last;
  const first = event.firstTimestamp ?? event.eventTime;
  return `${last} (x${count} over ${age(first ? Date.parse(first) : 0, now)})`;
}
