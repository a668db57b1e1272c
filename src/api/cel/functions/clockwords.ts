/** Times and durations as Go reads and writes them. */
import { CelError } from "#api/cel/engine/problems.ts";
import { Duration, type Timestamp } from "#api/cel/engine/values.ts";
import { checkedDuration, checkedTime } from "#api/cel/functions/arguments.ts";

const SECOND = 1_000_000_000n;

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  μs: 1_000n,
  ms: 1_000_000n,
  s: SECOND,
  m: 60n * SECOND,
  h: 3_600n * SECOND,
};

const PART = /(\d*)(?:\.(\d*))?(ns|us|µs|μs|ms|s|m|h)/y;

/** `1h30m`. @throws CelError. */
export function parseDuration(text: string): Duration {
  const bad = (): CelError => new CelError(`time: invalid duration ${JSON.stringify(text)}`);
  const signed = /^[+-]/.test(text);
  const body = signed ? text.slice(1) : text;
  if (body === "0") return new Duration(0n);
  if (body === "") throw bad();
  let total = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const match = PART.exec(body);
    const [, whole = "", fraction = "", unit = ""] = match ?? [];
    if (match === null || (whole === "" && fraction === "")) throw bad();
    const size = UNITS[unit] ?? 1n;
    total += BigInt(whole || "0") * size;
    if (fraction !== "") total += (BigInt(fraction) * size) / 10n ** BigInt(fraction.length);
  }
  return checkedDuration(text.startsWith("-") ? -total : total);
}

/** Seconds with a fraction, as CEL writes durations. */
export function showDuration({ nanos }: Duration): string {
  const size = nanos < 0n ? -nanos : nanos;
  const fraction = (size % SECOND).toString().padStart(9, "0").replace(/0+$/, "");
  const sign = nanos < 0n ? "-" : "";
  return `${sign}${size / SECOND}${fraction === "" ? "" : `.${fraction}`}s`;
}

const TIME =
  /^(\d{4}-\d\d-\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,18}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** RFC 3339. @throws CelError. */
export function parseTime(text: string): Timestamp {
  const bad = (): CelError =>
    new CelError(
      `parsing time ${JSON.stringify(text)} as "2006-01-02T15:04:05Z07:00": cannot parse`,
    );
  const match = TIME.exec(text);
  if (match === null) throw bad();
  const [, date = "", hours = "", minutes = "", seconds = "", fraction = "0", sign, h, m] = match;
  const ms = Date.parse(`${date}T${hours}:${minutes}:${seconds}Z`);
  // A day that the month has not would roll over.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== date) throw bad();
  const offset = BigInt(Number(h ?? 0) * 3_600 + Number(m ?? 0) * 60) * SECOND;
  const nanos = BigInt(ms) * 1_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, "0"));
  return checkedTime(sign === "-" ? nanos + offset : nanos - offset);
}

const floorDivide = (a: bigint, b: bigint): bigint => (a - (((a % b) + b) % b)) / b;

/** Milliseconds since 1970, rounded down. */
export const millisOf = ({ nanos }: Timestamp): number => Number(floorDivide(nanos, 1_000_000n));

export function showTime(time: Timestamp): string {
  const second = floorDivide(time.nanos, SECOND);
  const fraction = (time.nanos - second * SECOND).toString().padStart(9, "0").replace(/0+$/, "");
  const head = new Date(Number(second) * 1_000).toISOString().slice(0, 19);
  return `${head}${fraction === "" ? "" : `.${fraction}`}Z`;
}
