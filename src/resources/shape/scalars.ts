/** Scalars with a form of their own: in the form that Kubernetes' typed objects write them back. */
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import { canonicalQuantity } from "#resources/quantity.ts";

/** A value in its own form, or why it is none. */
export type Read = { readonly value: string } | { readonly problem: string };

const known = new Map<string, string>();

/** Canonical texts of the few quantities that a cluster uses again and again. */
export function readQuantity(given: string): Read {
  const text = given.trim();
  const cached = known.get(text);
  if (cached !== undefined) return { value: cached };
  try {
    const value = canonicalQuantity(text);
    if (known.size >= limits.quantityCacheMax) known.clear();
    known.set(text, value);
    return { value };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

export const isCanonicalQuantity = (value: string): boolean => known.get(value) === value;

const TIME = /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\dZ$/;
const MICRO_TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{6}Z$/;
const RFC3339 = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)$/;
const LAYOUT = "2006-01-02T15:04:05Z07:00";

const isRealDay = (text: string): boolean =>
  Number(text.slice(8, 10)) <= 28 || !Number.isNaN(dateOf(text.slice(0, 19), "Z"));

/** Milliseconds; NaN also for the 30th of February, which Date would move on. */
function dateOf(seconds: string, zone: string): number {
  const ms = Date.parse(`${seconds}Z`);
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(seconds)) return Number.NaN;
  return Date.parse(`${seconds}${zone}`);
}

export const isCanonicalTime = (value: string): boolean => TIME.test(value) && isRealDay(value);
export const isCanonicalMicroTime = (value: string): boolean =>
  MICRO_TIME.test(value) && isRealDay(value);

/** RFC 3339 in UTC, with whole seconds or with six digits. */
export function readTime(text: string, micro: boolean): Read {
  const match = RFC3339.exec(text);
  const ms = match === null ? Number.NaN : dateOf(match[1] ?? "", match[3] ?? "");
  if (Number.isNaN(ms)) {
    const shown = JSON.stringify(text);
    return { problem: `parsing time ${shown} as "${LAYOUT}": cannot parse ${shown} as "2006"` };
  }
  const seconds = new Date(ms).toISOString().slice(0, 19);
  const digits = (match?.[2] ?? "").padEnd(6, "0").slice(0, 6);
  return { value: micro ? `${seconds}.${digits}Z` : `${seconds}Z` };
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const isBase64 = (value: string): boolean => value.length % 4 === 0 && BASE64.test(value);

/** Padded standard base64; line breaks are dropped. */
export function readBytes(text: string): Read {
  const value = text.replaceAll(/[\r\n]/g, "");
  if (isBase64(value)) return { value };
  const good = /^(?:[A-Za-z0-9+/]{4})*/.exec(value)?.[0].length ?? 0;
  return { problem: `illegal base64 data at input byte ${good}` };
}
