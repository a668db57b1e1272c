/** Stable hashes and chance-free suffixes in the alphabet of Kubernetes' generated names. */

/** No vowels, no look-alikes (apimachinery util/rand). */
const ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

function fnv1a(text: string, seed: number): number {
  let hash = (0x811c9dc5 ^ seed) >>> 0;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

/** JSON with sorted keys; what is absent, null, false, 0 or empty does not count. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const parts: string[] = [];
  for (const [key, part] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const text = canonical(part);
    if (text === "" || /^(null|false|0|""|\[\]|\{\})$/.test(text)) continue;
    parts.push(`${JSON.stringify(key)}:${text}`);
  }
  return `{${parts.join(",")}}`;
}

function letters(value: number, count: number): string {
  let rest = value;
  let out = "";
  for (let i = 0; i < count; i++) {
    out += ALPHABET.charAt(rest % ALPHABET.length);
    rest = Math.floor(rest / ALPHABET.length);
  }
  return out;
}

/** Ten letters for a value; another ten for each `collisions`. */
export function safeHash(value: unknown, collisions = 0): string {
  const text = `${canonical(value)}${collisions === 0 ? "" : collisions}`;
  return letters(fnv1a(text, 0), 5) + letters(fnv1a(text, 0x9e3779b9), 5);
}

/** Different five-letter suffixes, made as they are asked for, from a number in [0, 1). */
export function* suffixesFrom(seed: number): Generator<string, never> {
  const known = new Set<string>();
  let state = Math.floor(seed * 0x100000000) >>> 0;
  for (;;) {
    // mulberry32: a well-mixed sequence from one 32-bit state.
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    const next = letters((mixed ^ (mixed >>> 14)) >>> 0, 5);
    if (known.has(next)) continue;
    known.add(next);
    yield next;
  }
}

/** As many of them as asked for. */
export const suffixes = (seed: number, count: number): string[] =>
  suffixesFrom(seed).take(count).toArray();
