/** Functions on times and durations. */
import { fn, method, type Overload } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { duration, int, string, timestamp } from "#api/cel/engine/types.ts";
import { Duration, Timestamp, type Value } from "#api/cel/engine/values.ts";
import { checkedTime, instance, integer, text } from "#api/cel/functions/arguments.ts";
import { millisOf, parseDuration, parseTime } from "#api/cel/functions/clockwords.ts";

const DAY_MS = 86_400_000;

/** A time zone as minutes, or as the name that the system knows. */
function shifted(ms: number, zone: string): Date {
  if (zone === "" || zone === "UTC") return new Date(ms);
  const fixed = /^([+-]?)(\d\d):(\d\d)$/.exec(zone);
  if (fixed !== null) {
    const minutes = Number(fixed[2]) * 60 + Number(fixed[3]);
    return new Date(ms + (fixed[1] === "-" ? -minutes : minutes) * 60_000);
  }
  let parts: Intl.DateTimeFormatPart[];
  try {
    parts = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
    }).formatToParts(ms);
  } catch {
    throw new CelError(`unknown time zone ${zone}`);
  }
  const part = (type: string): number => Number(parts.find((each) => each.type === type)?.value);
  const seconds = Date.UTC(
    part("year"),
    part("month") - 1,
    part("day"),
    part("hour"),
    part("minute"),
    part("second"),
  );
  return new Date(seconds + (((ms % 1_000) + 1_000) % 1_000));
}

function dayOfYear(date: Date): number {
  const start = Date.UTC(date.getUTCFullYear(), 0, 1);
  return Math.floor((date.getTime() - start) / DAY_MS);
}

const parts: ReadonlyArray<readonly [string, (date: Date) => number]> = [
  ["getFullYear", (date) => date.getUTCFullYear()],
  ["getMonth", (date) => date.getUTCMonth()],
  ["getDate", (date) => date.getUTCDate()],
  ["getDayOfMonth", (date) => date.getUTCDate() - 1],
  ["getDayOfWeek", (date) => date.getUTCDay()],
  ["getDayOfYear", dayOfYear],
  ["getHours", (date) => date.getUTCHours()],
  ["getMinutes", (date) => date.getUTCMinutes()],
  ["getSeconds", (date) => date.getUTCSeconds()],
  ["getMilliseconds", (date) => date.getUTCMilliseconds()],
];

const partOf = (get: (date: Date) => number, time: Value | undefined, zone: string): bigint =>
  BigInt(get(shifted(millisOf(instance(time, Timestamp)), zone)));

const timeParts = parts.flatMap(([name, get]) => [
  method(name, [timestamp], int, ([time]) => partOf(get, time, "UTC")),
  method(name, [timestamp, string], int, ([time, zone]) => partOf(get, time, text(zone))),
]);

const units: ReadonlyArray<readonly [string, bigint]> = [
  ["getHours", 3_600_000_000_000n],
  ["getMinutes", 60_000_000_000n],
  ["getSeconds", 1_000_000_000n],
];

const durationParts: readonly Overload[] = [
  ...units.map(([name, size]) =>
    method(name, [duration], int, ([given]) => instance(given, Duration).nanos / size),
  ),
  // Only what is beyond the last second, as CEL has it.
  method("getMilliseconds", [duration], int, ([given]) => {
    return (instance(given, Duration).nanos / 1_000_000n) % 1_000n;
  }),
];

export const timeFunctions: readonly Overload[] = [
  ...timeParts,
  ...durationParts,
  fn("timestamp", [string], timestamp, ([a]) => parseTime(text(a))),
  fn("timestamp", [int], timestamp, ([a]) => checkedTime(integer(a) * 1_000_000_000n)),
  fn("timestamp", [timestamp], timestamp, ([a = null]) => a),
  fn("duration", [string], duration, ([a]) => parseDuration(text(a))),
  fn("duration", [int], duration, ([a]) => new Duration(integer(a))),
  fn("duration", [duration], duration, ([a = null]) => a),
];
