/** The formats of strings that Kubernetes checks in custom resources; unknown ones pass. */
import { familyOf, parseIp } from "#api/services/ranges.ts";

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const DATE_TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const DURATION = /^([-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w))+$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const MAC = /^([0-9a-f]{2}[:-]){5}[0-9a-f]{2}$/i;
const HOSTNAME = /^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?)*$/i;

function isCidr(text: string): boolean {
  const [address = "", bits = ""] = text.split("/");
  if (parseIp(address) === undefined || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (familyOf(address) === "IPv4" ? 32 : 128);
}

function isUri(text: string): boolean {
  if (text.startsWith("/")) return true;
  return URL.canParse(text);
}

const FORMATS: Record<string, (text: string) => boolean> = {
  "date-time": (text) => DATE_TIME.test(text) && !Number.isNaN(Date.parse(text)),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)),
  duration: (text) => text === "0" || DURATION.test(text),
  uuid: (text) => UUID.test(text),
  uuid3: (text) => UUID.test(text),
  uuid4: (text) => UUID.test(text),
  uuid5: (text) => UUID.test(text),
  byte: (text) => BASE64.test(text),
  ipv4: (text) => parseIp(text) !== undefined && familyOf(text) === "IPv4",
  ipv6: (text) => parseIp(text) !== undefined && familyOf(text) === "IPv6",
  cidr: isCidr,
  mac: (text) => MAC.test(text),
  hostname: (text) => text.length <= 255 && HOSTNAME.test(text),
  email: (text) => /^[^@\s]+@[^@\s]+$/.test(text),
  uri: isUri,
};

export const checkFormat = (format: string, text: string): boolean =>
  FORMATS[format]?.(text) ?? true;
