/** Parses IP addresses and CIDRs. Pure. */
import { isIP } from "node:net";

export type Family = "IPv4" | "IPv6";

function addressFamily(text: string): Family | undefined {
  const version = isIP(text);
  if (version === 4) return "IPv4";
  return version === 6 && !text.includes("%") ? "IPv6" : undefined;
}

/**
 * Returns the family of an address or a CIDR. Returns undefined for any other text, also for an
 * address with a zone. Text with a family is safe in a packet rule.
 */
export function familyOf(text: string): Family | undefined {
  const slash = text.indexOf("/");
  if (slash < 0) return addressFamily(text);
  const bits = text.slice(slash + 1);
  const family = /^(0|[1-9]\d{0,2})$/.test(bits) ? addressFamily(text.slice(0, slash)) : undefined;
  return Number(bits) <= (family === "IPv4" ? 32 : 128) ? family : undefined;
}

/** The value of an address, or undefined where it is none. */
export function addressValue(text: string): bigint | undefined {
  if (!text.includes(":")) return ipv4Value(text);
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = ipv6Groups(halves[0] ?? "");
  const tail = halves.length === 2 ? ipv6Groups(halves[1] ?? "") : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...new Array<bigint>(missing).fill(0n), ...tail];
  return groups.reduce((value, group) => (value << 16n) | group, 0n);
}

function ipv4Value(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^\d{1,3}$/.test(part) || Number(part) > 255) return undefined;
    value = (value << 8n) | BigInt(part);
  }
  return value;
}

function ipv6Groups(text: string): bigint[] | undefined {
  if (text === "") return [];
  const groups: bigint[] = [];
  for (const part of text.split(":")) {
    if (part.includes(".")) {
      const value = ipv4Value(part);
      if (value === undefined) return undefined;
      groups.push(value >> 16n, value & 0xffffn);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}

/** Whether `inner` (an address or a CIDR) lies wholly in the CIDR `outer`. */
export function contains(outer: string, inner: string): boolean {
  const [outerText = "", outerBits] = outer.split("/");
  const [innerText = "", innerBits] = inner.split("/");
  if (outerText.includes(":") !== innerText.includes(":")) return false;
  const width = outerText.includes(":") ? 128 : 32;
  const a = addressValue(outerText);
  const b = addressValue(innerText);
  if (a === undefined || b === undefined) return false;
  const bits = Number(outerBits ?? width);
  if (Number(innerBits ?? width) < bits) return false;
  return a >> BigInt(width - bits) === b >> BigInt(width - bits);
}

/** The address with this value; IPv6 in the shortest form (RFC 5952). */
export function addressText(value: bigint, v6: boolean): string {
  if (!v6) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, i) =>
    ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16),
  );
  const zeros = groups.join(":").match(/\b0(?::0\b)+/g) ?? [];
  const longest = zeros.reduce((best, run) => (run.length > best.length ? run : best), "");
  if (longest === "") return groups.join(":");
  const [head = "", tail = ""] = groups.join(":").split(new RegExp(`(?:^|:)${longest}(?::|$)`));
  return `${head}::${tail}`;
}
