/**
 * Addresses and networks.
 * https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-ip-address-library
 */
import { fn, LETTER_COST, method, type Overload, walksText } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { bool, int, opaque, string } from "#api/cel/engine/types.ts";
import { Extension, type Value } from "#api/cel/engine/values.ts";
import { instance, text } from "#api/cel/functions/arguments.ts";
import { type Family, familyOf, formatIp, parseIp } from "#api/services/ranges.ts";

export const ipType = opaque("net.IP");
export const cidrType = opaque("net.CIDR");

const MAPPED = 0xffffn;

const widthOf = (family: Family): number => (family === "IPv4" ? 32 : 128);

class Ip extends Extension {
  readonly type = ipType;
  readonly value: bigint;
  readonly family: Family;

  constructor(value: bigint, family: Family) {
    super();
    this.value = value;
    this.family = family;
  }

  override size(): number {
    return widthOf(this.family) / 8;
  }

  equals(other: Extension): boolean {
    return other instanceof Ip && other.family === this.family && other.value === this.value;
  }

  override toString(): string {
    return formatIp(this.value, this.family);
  }
}

class Cidr extends Extension {
  readonly type = cidrType;
  readonly ip: Ip;
  readonly bits: number;

  constructor(ip: Ip, bits: number) {
    super();
    this.ip = ip;
    this.bits = bits;
  }

  override size(): number {
    return Math.ceil(this.bits / 8);
  }

  equals(other: Extension): boolean {
    return other instanceof Cidr && other.bits === this.bits && other.ip.equals(this.ip);
  }

  masked(): Cidr {
    const rest = BigInt(widthOf(this.ip.family) - this.bits);
    return new Cidr(new Ip((this.ip.value >> rest) << rest, this.ip.family), this.bits);
  }

  contains(ip: Ip): boolean {
    if (ip.family !== this.ip.family) return false;
    const rest = BigInt(widthOf(ip.family) - this.bits);
    return ip.value >> rest === this.ip.value >> rest;
  }

  override toString(): string {
    return `${this.ip}/${this.bits}`;
  }
}

const quoted = (value: string): string => JSON.stringify(value);

function parse(value: string): Ip {
  const bad = `IP Address ${quoted(value)} parse error during conversion from string: `;
  if (value.includes("%")) {
    throw new CelError(`IP address ${quoted(value)} with zone value is not allowed`);
  }
  const dotted = /^(.*:)(\d{1,3}(?:\.\d{1,3}){3})$/.exec(value);
  const inner = dotted === null ? undefined : parseIp(dotted[2] ?? "");
  const plain =
    dotted === null || inner === undefined
      ? value
      : `${dotted[1]}${(inner >> 16n).toString(16)}:${(inner & 0xffffn).toString(16)}`;
  const number = parseIp(plain);
  if (number === undefined)
    throw new CelError(`${bad}ParseAddr(${quoted(value)}): unable to parse IP`);
  const family = familyOf(value);
  if (family === "IPv6" && number >> 32n === MAPPED) {
    throw new CelError(`IPv4-mapped IPv6 address ${quoted(value)} is not allowed`);
  }
  return new Ip(number, family);
}

function parseCidr(value: string): Cidr {
  const bad = (why: string): CelError =>
    new CelError(
      "network address parse error during conversion from string: network address parse error " +
        `during conversion from string: netip.ParsePrefix(${quoted(value)}): ${why}`,
    );
  const slash = value.lastIndexOf("/");
  if (slash < 0) throw bad("no '/'");
  let ip: Ip;
  try {
    ip = parse(value.slice(0, slash));
  } catch {
    throw bad("unable to parse IP");
  }
  const bits = value.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(bits)) throw bad(`bad bits after slash: ${quoted(bits)}`);
  if (Number(bits) > widthOf(ip.family)) throw bad("prefix length out of range");
  return new Cidr(ip, Number(bits));
}

function succeeds(work: () => unknown): boolean {
  try {
    work();
    return true;
  } catch (error) {
    if (error instanceof CelError) return false;
    throw error;
  }
}

const top = (ip: Ip, bits: number): bigint => ip.value >> BigInt(widthOf(ip.family) - bits);
const is4 = (ip: Ip): boolean => ip.family === "IPv4";

const isUnspecified = (ip: Ip): boolean => ip.value === 0n;
const isLoopback = (ip: Ip): boolean => (is4(ip) ? top(ip, 8) === 127n : ip.value === 1n);
const isLinkLocalMulticast = (ip: Ip): boolean =>
  is4(ip) ? top(ip, 24) === 0xe00000n : (top(ip, 16) & 0xff0fn) === 0xff02n;
const isLinkLocalUnicast = (ip: Ip): boolean =>
  is4(ip) ? top(ip, 16) === 0xa9fen : top(ip, 10) === 0x3fan;
const isMulticast = (ip: Ip): boolean => (is4(ip) ? top(ip, 4) === 0xen : top(ip, 8) === 0xffn);
const isBroadcast = (ip: Ip): boolean => is4(ip) && ip.value === 0xffffffffn;
const isGlobalUnicast = (ip: Ip): boolean =>
  !isUnspecified(ip) &&
  !isBroadcast(ip) &&
  !isLoopback(ip) &&
  !isMulticast(ip) &&
  !isLinkLocalUnicast(ip);

const TESTS: ReadonlyArray<readonly [string, (ip: Ip) => boolean]> = [
  ["isUnspecified", isUnspecified],
  ["isLoopback", isLoopback],
  ["isLinkLocalMulticast", isLinkLocalMulticast],
  ["isLinkLocalUnicast", isLinkLocalUnicast],
  ["isGlobalUnicast", isGlobalUnicast],
];

const ip = (value: Value | undefined): Ip => instance(value, Ip);
const cidr = (value: Value | undefined): Cidr => instance(value, Cidr);
const walks = { cost: walksText() };

const inside = (outer: Cidr, inner: Cidr): boolean =>
  outer.bits <= inner.bits && outer.contains(inner.ip);

const compares = {
  cost: ([size = 16, other = 0]: readonly number[]): number =>
    Math.ceil(3 * size * LETTER_COST) + 1 + Math.ceil(other * LETTER_COST),
};

const ips: readonly Overload[] = [
  fn("ip", [string], ipType, ([a]) => parse(text(a)), walks),
  fn("isIP", [string], bool, ([a]) => succeeds(() => parse(text(a))), walks),
  fn("ip.isCanonical", [string], bool, ([a]) => String(parse(text(a))) === text(a), {
    cost: walksText(2),
  }),
  fn("string", [ipType], string, ([a]) => String(ip(a)), { resultSize: () => 39 }),
  method("family", [ipType], int, ([a]) => (is4(ip(a)) ? 4n : 6n)),
  ...TESTS.map(([name, test]) => method(name, [ipType], bool, ([a]) => test(ip(a)))),
];

const cidrs: readonly Overload[] = [
  fn("cidr", [string], cidrType, ([a]) => parseCidr(text(a)), walks),
  fn("isCIDR", [string], bool, ([a]) => succeeds(() => parseCidr(text(a))), walks),
  fn("string", [cidrType], string, ([a]) => String(cidr(a)), { resultSize: () => 43 }),
  method("ip", [cidrType], ipType, ([a]) => cidr(a).ip),
  method("prefixLength", [cidrType], int, ([a]) => BigInt(cidr(a).bits)),
  method("masked", [cidrType], cidrType, ([a]) => cidr(a).masked()),
  method("containsIP", [cidrType, ipType], bool, ([a, b]) => cidr(a).contains(ip(b)), compares),
  method(
    "containsIP",
    [cidrType, string],
    bool,
    ([a, b]) => cidr(a).contains(parse(text(b))),
    compares,
  ),
  method(
    "containsCIDR",
    [cidrType, cidrType],
    bool,
    ([a, b]) => inside(cidr(a), cidr(b)),
    compares,
  ),
  method(
    "containsCIDR",
    [cidrType, string],
    bool,
    ([a, b]) => inside(cidr(a), parseCidr(text(b))),
    compares,
  ),
];

export const addresses: readonly Overload[] = [...ips, ...cidrs];
