/** Chance that a seed decides: the same seed gives the same numbers, names and bytes. */
import type { Random } from "#base/random.ts";

export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  // Mulberry32: 32 bits of state are enough for tests, and it needs no library.
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }
  function bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => Math.floor(next() * 256));
  }
  function uuid(): string {
    const raw = bytes(16);
    raw[6] = ((raw[6] ?? 0) & 0x0f) | 0x40;
    raw[8] = ((raw[8] ?? 0) & 0x3f) | 0x80;
    const hex = Buffer.from(raw).toString("hex");
    return [8, 12, 16, 20, 32]
      .map((end, i, ends) => hex.slice(i === 0 ? 0 : ends[i - 1], end))
      .join("-");
  }
  return { next, uuid, bytes };
}
