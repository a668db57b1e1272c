/** What an address of IPv4 or IPv6 is for, whichever way it is written. Pure. */
import { addressValue } from "#base/cidr.ts";

export type AddressKind =
  | "unspecified"
  | "loopback"
  | "link-local"
  | "link-local multicast"
  | "multicast"
  | "reserved"
  | "global";

interface Address {
  readonly v6: boolean;
  readonly value: bigint;
}

const LOW_32 = 0xffff_ffffn;
/** AWS tells a machine its secrets here; its address of IPv4 is link-local. */
const METADATA = 0xfd00_0ec2_0000_0000_0000_0000_0000_0254n;

/**
 * IPv6 that stands for IPv4: mapped (::ffff:0:0/96), translated (::ffff:0:0:0/96), compatible
 * (::/96), NAT64 (64:ff9b::/96, and 64:ff9b:1::/48 with /96 within it) and 6to4 (2002::/16).
 */
function embedded(value: bigint): bigint | undefined {
  const top = value >> 32n;
  if (top === 0xffffn || top === 0xffff_0000n) return value & LOW_32;
  // ::0 and ::1 are addresses of their own.
  if (top === 0n && value > 1n) return value & LOW_32;
  if (top === 0x0064_ff9bn << 64n || value >> 80n === 0x0064_ff9b_0001n) return value & LOW_32;
  return value >> 112n === 0x2002n ? (value >> 80n) & LOW_32 : undefined;
}

function addressOf(text: string): Address | undefined {
  const value = addressValue(text);
  if (value === undefined) return undefined;
  if (!text.includes(":")) return { v6: false, value };
  const inner = embedded(value);
  return inner === undefined ? { v6: true, value } : { v6: false, value: inner };
}

function kindOf4(value: bigint): AddressKind {
  if (value === 0n) return "unspecified";
  const first = value >> 24n;
  if (first === 127n) return "loopback";
  if (value >> 16n === 0xa9fen) return "link-local";
  if (value >> 8n === 0xe00000n) return "link-local multicast";
  if (first >= 224n && first < 240n) return "multicast";
  return first === 0n || first >= 240n ? "reserved" : "global";
}

function kindOf6(value: bigint): AddressKind {
  if (value === 0n) return "unspecified";
  if (value === 1n) return "loopback";
  if (value >> 118n === 0x3fan) return "link-local";
  // fec0::/10 was local to a site, and is no more.
  if (value >> 118n === 0x3fbn || value === METADATA) return "reserved";
  if (value >> 120n !== 0xffn) return "global";
  return (value >> 112n) % 16n === 2n ? "link-local multicast" : "multicast";
}

/** Undefined where the text is no address. */
export function addressKind(text: string): AddressKind | undefined {
  const address = addressOf(text);
  if (address === undefined) return undefined;
  return address.v6 ? kindOf6(address.value) : kindOf4(address.value);
}

/** The same text for all ways to write an address. */
export function addressKey(text: string): string {
  const address = addressOf(text);
  return address === undefined ? text : `${address.v6 ? 6 : 4} ${address.value}`;
}
