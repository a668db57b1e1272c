/**
 * Pools of addresses and ports that are given out once. Only the pool knows what is taken: the
 * store is asked at the start, and a write that did not come about gives back what it took.
 */
import type { Random } from "#base/random.ts";

export type Family = "IPv4" | "IPv6";

/** Why an address or port cannot be had, in upstream's words. */
export class NotAvailable extends Error {
  override name = "NotAvailable";
}

export const familyOf = (ip: string): Family => (ip.includes(":") ? "IPv6" : "IPv4");

/** The number of an address; undefined for what is none. */
export function parseIp(text: string): bigint | undefined {
  return text.includes(":") ? parseV6(text) : parseV4(text);
}

function parseV4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const groups = (half: string): string[] => (half === "" ? [] : half.split(":"));
  const head = groups(halves[0] ?? "");
  const tail = groups(halves[1] ?? "");
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  let value = 0n;
  for (const group of [...head, ...Array<string>(missing).fill("0"), ...tail]) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return undefined;
    value = (value << 16n) | BigInt(`0x${group}`);
  }
  return value;
}

export function formatIp(value: bigint, family: Family): string {
  if (family === "IPv4") {
    return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  }
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  const { start, length } = longestZeros(groups);
  if (length < 2) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

/** The run that `::` stands for (RFC 5952: the longest, the first of equals). */
function longestZeros(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let length = 0;
  groups.forEach((group, index) => {
    length = group === "0" ? length + 1 : 0;
    if (length > best.length) best = { start: index - length + 1, length };
  });
  return best;
}

/**
 * Numbers from 0 to size - 1, of which the lower ones are kept for those who ask for them by name.
 */
export class Pool {
  readonly #size: bigint;
  readonly #reserved: bigint;
  readonly #random: Random;
  readonly #taken = new Map<bigint, string>();
  /** Of `#taken`: given out to a write that is on its way. */
  readonly #pending = new Set<bigint>();

  constructor(size: bigint, random: Random) {
    this.#size = size;
    this.#reserved = reservedOf(size);
    this.#random = random;
  }

  owner(offset: bigint): string | undefined {
    return this.#taken.get(offset);
  }

  get free(): bigint {
    return this.#size - BigInt(this.#taken.size);
  }

  /** False where somebody has it. */
  take(offset: bigint, owner: string): boolean {
    if (this.#taken.has(offset)) return false;
    this.#taken.set(offset, owner);
    this.#pending.add(offset);
    return true;
  }

  /** For who has it in the store. A write that is on its way with it, elsewhere, comes too late. */
  hold(offset: bigint, owner: string): boolean {
    const holder = this.#taken.get(offset);
    if (holder !== undefined && holder !== owner && !this.#pending.has(offset)) return false;
    this.#taken.set(offset, owner);
    this.#pending.delete(offset);
    return true;
  }

  release(offset: bigint, owner: string): void {
    if (this.#taken.get(offset) !== owner) return;
    this.#taken.delete(offset);
    this.#pending.delete(offset);
  }

  /** A free one at random: the upper part first (KEP-3070); undefined when all are taken. */
  next(owner: string): bigint | undefined {
    return (
      this.#search(this.#reserved, this.#size, owner) ?? this.#search(0n, this.#reserved, owner)
    );
  }

  #search(from: bigint, to: bigint, owner: string): bigint | undefined {
    const span = to - from;
    if (span <= 0n) return undefined;
    const start = BigInt(Math.floor(this.#random.next() * Number(span)));
    // Taken ones are what must be skipped: one step more than they are always finds a free one.
    const steps = span < BigInt(this.#taken.size) + 1n ? span : BigInt(this.#taken.size) + 1n;
    for (let i = 0n; i < steps; i++) {
      const offset = from + ((start + i) % span);
      if (this.take(offset, owner)) return offset;
    }
    return undefined;
  }
}

/** min(max(16, size / 16), 256), and none in a range that small (KEP-3070). */
function reservedOf(size: bigint): bigint {
  if (size < 16n) return 0n;
  const sixteenth = size / 16n;
  if (sixteenth < 16n) return 16n;
  return sixteenth > 256n ? 256n : sixteenth;
}

/** Addresses of one CIDR; its first and (IPv4) last are never given out. */
export class AddressRange {
  readonly family: Family;
  readonly cidr: string;
  readonly #base: bigint;
  readonly #pool: Pool;
  readonly #size: bigint;

  constructor(cidr: string, random: Random) {
    const [address = "", bits = ""] = cidr.split("/");
    const value = parseIp(address);
    if (value === undefined || !/^\d{1,3}$/.test(bits)) throw new Error(`${cidr} is no CIDR`);
    this.cidr = cidr;
    this.family = familyOf(address);
    const width = this.family === "IPv4" ? 32n : 128n;
    const hostBits = width - BigInt(bits);
    this.#base = ((value >> hostBits) << hostBits) + 1n;
    const all = 1n << hostBits;
    this.#size = this.family === "IPv4" ? all - 2n : all - 1n;
    this.#pool = new Pool(this.#size, random);
  }

  /** Counting from 0; `first` is the `kubernetes` Service's. */
  get first(): string {
    return formatIp(this.#base, this.family);
  }

  #offset(ip: string): bigint | undefined {
    const value = parseIp(ip);
    if (value === undefined || familyOf(ip) !== this.family) return undefined;
    const offset = value - this.#base;
    return offset >= 0n && offset < this.#size ? offset : undefined;
  }

  /** What stands in the store already. False where another one has it, or outside of the range. */
  hold(ip: string, owner: string): boolean {
    const offset = this.#offset(ip);
    return offset !== undefined && this.#pool.hold(offset, owner);
  }

  /** @throws NotAvailable. */
  take(ip: string, owner: string): void {
    const offset = this.#offset(ip);
    if (offset === undefined) {
      throw new NotAvailable(
        `the provided IP (${ip}) is not in the valid range. The range of valid IPs is ${this.cidr}`,
      );
    }
    if (!this.#pool.take(offset, owner)) {
      throw new NotAvailable("provided IP is already allocated");
    }
  }

  /** @throws NotAvailable. */
  next(owner: string): string {
    const offset = this.#pool.next(owner);
    if (offset === undefined) throw new NotAvailable("range is full");
    return formatIp(this.#base + offset, this.family);
  }

  release(ip: string, owner: string): void {
    const offset = this.#offset(ip);
    if (offset !== undefined) this.#pool.release(offset, owner);
  }
}

export class PortRange {
  readonly #first: number;
  readonly #last: number;
  readonly #pool: Pool;

  constructor(range: { first: number; last: number }, random: Random) {
    this.#first = range.first;
    this.#last = range.last;
    this.#pool = new Pool(BigInt(range.last - range.first + 1), random);
  }

  /** What stands in the store already. False where another one has it, or outside of the range. */
  hold(port: number, owner: string): boolean {
    const isInside = port >= this.#first && port <= this.#last;
    return isInside && this.#pool.hold(BigInt(port - this.#first), owner);
  }

  /** A Service may have one port for two protocols. @throws NotAvailable. */
  take(port: number, owner: string): void {
    if (port < this.#first || port > this.#last) {
      throw new NotAvailable(
        `provided port is not in the valid range. The range of valid ports is ` +
          `${this.#first}-${this.#last}`,
      );
    }
    if (!this.#pool.take(BigInt(port - this.#first), owner)) {
      throw new NotAvailable("provided port is already allocated");
    }
  }

  next(owner: string): number {
    const offset = this.#pool.next(owner);
    if (offset === undefined) throw new NotAvailable("range is full");
    return this.#first + Number(offset);
  }

  release(port: number, owner: string): void {
    this.#pool.release(BigInt(port - this.#first), owner);
  }
}
