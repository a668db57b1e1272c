/** Addresses and networks as text. */
import { isIP, isIPv4 } from "node:net";
import { type AddressKind, addressKind } from "#resources/addresses.ts";
import { type Cause, invalid } from "#resources/field.ts";

const NOT_AN_IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NOT_A_CIDR = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

export const checkIp = (value: string | undefined, path: string): Cause[] =>
  value !== undefined && isIP(value) !== 0 && !value.includes("%")
    ? []
    : [invalid(path, value ?? "", NOT_AN_IP)];

/** `10.0.0.0/8` or `fd00::/8`. */
export function isCidr(value: string): boolean {
  const [ip = "", bits = "", ...rest] = value.split("/");
  if (rest.length > 0 || isIP(ip) === 0 || !/^(0|[1-9]\d{0,2})$/.test(bits)) return false;
  return Number(bits) <= (isIPv4(ip) ? 32 : 128);
}

export const checkCidr = (value: string, path: string): Cause[] =>
  isCidr(value) ? [] : [invalid(path, value, NOT_A_CIDR)];

export const familyOf = (ip: string): "IPv4" | "IPv6" => (isIPv4(ip) ? "IPv4" : "IPv6");

const SPECIAL: Partial<Record<AddressKind, (ip: string) => string>> = {
  unspecified: (ip) => `may not be unspecified (${ip})`,
  loopback: () => "may not be in the loopback range (127.0.0.0/8, ::1/128)",
  "link-local": () => "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
  "link-local multicast": () =>
    "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
};

/** Addresses that mean the node itself, its link or nothing, and never an endpoint. */
export function checkEndpointIp(ip: string, path: string): Cause[] {
  const kind = isIP(ip) === 0 ? undefined : addressKind(ip);
  if (kind === undefined) return [invalid(path, ip, "must be a valid IP address")];
  const detail = SPECIAL[kind];
  return detail === undefined ? [] : [invalid(path, ip, detail(ip))];
}
