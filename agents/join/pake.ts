/**
 * A key from a short code that both sides know (CPace over X25519, draft-irtf-cfrg-cpace): who
 * listens learns nothing of the code, who takes part can try one code in each exchange. Leaves to
 * others: how messages travel, and how often somebody may try.
 */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from "node:crypto";
import type { Random } from "#base/random.ts";

const PRIME = 2n ** 255n - 19n;
/** The curve is v^2 = u^3 + A u^2 + u. */
const A = 486662n;
const POINT_BYTES = 32;

const mod = (value: bigint): bigint => ((value % PRIME) + PRIME) % PRIME;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let rest = exponent, square = mod(base); rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

const inverse = (value: bigint): bigint => power(value, PRIME - 2n);

/** Whether a point of the curve (and not of its twist) has this u. */
export function isOnCurve(u: bigint): boolean {
  const square = mod(u * u * u + A * u * u + u);
  return square === 0n || power(square, (PRIME - 1n) / 2n) === 1n;
}

function fromBytes(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes).reverse().toString("hex");
  return mod(BigInt(`0x${hex}`) & (2n ** 255n - 1n));
}

function toBytes(value: bigint): Uint8Array {
  const hex = value.toString(16).padStart(2 * POINT_BYTES, "0");
  return Buffer.from(hex, "hex").reverse();
}

/** Elligator 2 (RFC 9380, 6.7.1): a point for any number, of which nobody knows the logarithm. */
export function mapToCurve(number: bigint): bigint {
  const first = mod(-A * inverse(mod(1n + 2n * number * number)));
  return isOnCurve(first) ? first : mod(-A - first);
}

/** Each part with its length before it, so that no two lists make the same bytes. */
function joined(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(
    parts.flatMap((part) => {
      const size = Buffer.alloc(2);
      size.writeUInt16BE(part.length);
      return [size, part];
    }),
  );
}

const sha512 = (bytes: Uint8Array): Uint8Array => createHash("sha512").update(bytes).digest();

/** PKCS #8 and SubjectPublicKeyInfo of an X25519 key, but for its 32 bytes (RFC 8410). */
const PRIVATE_PREFIX = Buffer.from("302e020100300506032b656e04220420", "hex");
const PUBLIC_PREFIX = Buffer.from("302a300506032b656e032100", "hex");

function multiply(scalar: KeyObject, point: Uint8Array): Uint8Array {
  const key = Buffer.concat([PUBLIC_PREFIX, point]);
  const publicKey = createPublicKey({ key, format: "der", type: "spki" });
  // Throws for a point of small order, with which the key would be known to everybody.
  return diffieHellman({ privateKey: scalar, publicKey });
}

export interface Exchange {
  /** 32 bytes for the other side. */
  readonly message: Uint8Array;
  /** 32 bytes that only who used the same code has. @throws Error for a message that is none. */
  key(other: Uint8Array): Uint8Array;
}

export interface ExchangeOptions {
  code: string;
  /** Random bytes that both sides take for this one exchange. */
  session: Uint8Array;
  /** What the exchange is about: another one's messages are of no use here. */
  about: string;
  /** Who began: both sides order the messages alike. */
  role: "first" | "second";
  random: Random;
}

export function beginExchange(options: ExchangeOptions): Exchange {
  const { code, session, about, role, random } = options;
  const context = joined(Buffer.from("bramble pairing 1"), Buffer.from(about), session);
  const generator = mapToCurve(fromBytes(sha512(joined(context, Buffer.from(code)))));
  const pkcs8 = Buffer.concat([PRIVATE_PREFIX, random.bytes(POINT_BYTES)]);
  const scalar = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  const message = multiply(scalar, toBytes(generator));
  return {
    message,
    key(other) {
      if (other.length !== POINT_BYTES) throw new Error("a pairing message has 32 bytes");
      const shared = multiply(scalar, other);
      const ordered = role === "first" ? [message, other] : [other, message];
      return sha512(joined(context, shared, ...ordered)).subarray(0, POINT_BYTES);
    },
  };
}
