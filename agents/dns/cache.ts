/**
 * Answers of upstream servers as they came, for as long as they may be used. Bounded; pure but for
 * its own state.
 */
import { RCODE, readName, records, TYPE, uint32 } from "#agents/dns/wire.ts";
import { limits } from "#base/limits.ts";

interface Entry {
  bytes: Uint8Array;
  /** Of the TTLs. */
  ttlsAt: readonly number[];
  storedMs: number;
  freshMs: number;
}

const HEADER_BYTES = 12;
/** Seconds. Longest use of an answer, and of one that says: there is nothing (RFC 2308). */
const TTL_MAX = 300;
const TTL_NOTHING_MAX = 30;
/** RFC 8767: when no upstream answers, an old answer is better than none. */
const STALE_MS_MAX = 3_600_000;
const TTL_STALE = 5;
const SOA_FIXED_BYTES = 20;

/** Offsets of the TTLs and the seconds that the answer may be used; undefined: not at all. */
function lifetime(bytes: Uint8Array): { ttlsAt: number[]; seconds: number } | undefined {
  const rcode = (bytes[3] ?? 0) & 15;
  const truncated = ((bytes[2] ?? 0) & 0x02) !== 0;
  if (truncated || (rcode !== RCODE.NOERROR && rcode !== RCODE.NXDOMAIN)) return undefined;
  const question = readName(bytes, HEADER_BYTES);
  if (question === undefined) return undefined;
  const ttlsAt: number[] = [];
  let seconds = TTL_MAX;
  let answers = 0;
  for (const record of records(bytes, question.end + 4)) {
    if (record === undefined) return undefined;
    if (record.type === TYPE.OPT) continue;
    ttlsAt.push(record.at + 4);
    seconds = Math.min(seconds, uint32(bytes, record.at + 4));
    if (record.section === "answer") answers++;
    if (record.type === TYPE.SOA && record.section === "authority") {
      const minimumAt = record.dataAt + record.dataBytes - 4;
      if (record.dataBytes >= SOA_FIXED_BYTES) {
        seconds = Math.min(seconds, uint32(bytes, minimumAt), TTL_NOTHING_MAX);
      }
    }
  }
  if (answers === 0) seconds = Math.min(seconds, TTL_NOTHING_MAX);
  return seconds <= 0 ? undefined : { ttlsAt, seconds };
}

/**
 * The same answer for another asker: its id, its spelling of the name, and what is left of the
 * TTLs.
 */
function readdress(entry: Entry, question: Uint8Array, end: number, ttl: number): Uint8Array {
  const bytes = Buffer.from(entry.bytes);
  bytes.set(question.subarray(0, 2), 0);
  bytes.set(question.subarray(HEADER_BYTES, end), HEADER_BYTES);
  for (const at of entry.ttlsAt) bytes.writeUInt32BE(Math.min(ttl, uint32(bytes, at)), at);
  return bytes;
}

export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  #size = 0;

  get size(): number {
    return this.#entries.size;
  }

  /** `end` is where the question of the asker ends. `stale` also takes what has run out. */
  get(
    key: string,
    question: Uint8Array,
    end: number,
    nowMs: number,
    stale = false,
  ): Uint8Array | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const age = nowMs - entry.storedMs;
    if (age >= entry.freshMs) {
      return stale && age < STALE_MS_MAX ? readdress(entry, question, end, TTL_STALE) : undefined;
    }
    // The newest use last: the first is dropped when it gets too many.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return readdress(entry, question, end, Math.ceil((entry.freshMs - age) / 1_000));
  }

  put(key: string, bytes: Uint8Array, nowMs: number): void {
    const life = lifetime(bytes);
    if (life === undefined) return;
    this.#drop(key);
    const freshMs = life.seconds * 1_000;
    this.#entries.set(key, { bytes, ttlsAt: life.ttlsAt, storedMs: nowMs, freshMs });
    this.#size += bytes.length;
    for (const oldest of this.#entries.keys()) {
      const many = this.#entries.size > limits.dnsCacheEntriesMax;
      if (!many && this.#size <= limits.dnsCacheBytesMax) break;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#size -= entry.bytes.length;
  }
}
