/** Times of the API as numbers and back. Nothing here reads a clock. */

/** `2026-01-02T03:04:05Z`, as metav1.Time is written. */
export function timeText(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** `2026-01-02T03:04:05+05:30`: by the clocks of a zone (IANA), as Go's RFC3339 writes it. */
export function zonedText(ms: number, timeZone: string): string {
  const format = new Intl.DateTimeFormat("en-US", { timeZone, timeZoneName: "longOffset" });
  const name = format.formatToParts(ms).find(({ type }) => type === "timeZoneName")?.value ?? "";
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)/.exec(name) ?? [];
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000;
  if (sign === undefined || offsetMs === 0) return timeText(ms);
  const local = timeText(sign === "+" ? ms + offsetMs : ms - offsetMs);
  return `${local.slice(0, -1)}${sign}${hours}:${minutes}`;
}

/** `2026-01-02T03:04:05.000006Z`, as MicroTime is written. */
export function microTimeText(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}

/** Milliseconds since the epoch; undefined for what is absent or no time. */
export function timeMs(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}
