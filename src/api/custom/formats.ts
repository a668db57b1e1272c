/**
 * The formats of strings that Kubernetes checks in custom resources; unknown ones pass. What they
 * take is what Go's libraries take, odd as it is in places (k8s.io/kube-openapi, strfmt).
 */
import { parseIp } from "#api/services/ranges.ts";
import { addressValue } from "#base/cidr.ts";

type Fits = (text: string) => boolean;

const like =
  (pattern: RegExp): Fits =>
  (text) =>
    pattern.test(text);

const uuid = (version: string, variant: string): Fits =>
  like(new RegExp(`^[\\da-f]{8}-?[\\da-f]{4}-?${version}-?${variant}-?[\\da-f]{12}$`, "i"));
const ANY_4 = "[\\da-f]{4}";
const VARIANT = "[89ab][\\da-f]{3}";

const LETTER = "a-zA-Z0-9\\p{S}\\p{L}";
const NODE = `[${LETTER}](?:[${LETTER}-]{0,61}[${LETTER}])?`;
const HOSTNAME = new RegExp(
  `^(?:[${LETTER}](?:-?[${LETTER}]{0,62})?|(?:${NODE}\\.)+[a-zA-Z\\p{L}]{2,63})$`,
  "u",
);
const HOST_BYTES_MAX = 255;
const NODE_BYTES_MAX = 63;

function isHostname(text: string): boolean {
  if (text.length > HOST_BYTES_MAX || Buffer.byteLength(text) > HOST_BYTES_MAX) return false;
  if (!HOSTNAME.test(text)) return false;
  return text.split(".").every((node) => Buffer.byteLength(node) <= NODE_BYTES_MAX);
}

function isCidr(text: string): boolean {
  const [address = "", bits = ""] = text.split("/");
  if (parseIp(address) === undefined || !/^\d{1,3}$/.test(bits)) return false;
  return Number(bits) <= (address.includes(":") ? 128 : 32);
}

const SCHEME = /^[a-z][a-z\d+.-]*:/i;
const AUTHORITY = /^(?:[^\s@[\]<>"]*@)?(?:\[[\da-f:.%a-z]+\]|[^\s@[\]<>"\\^`{|}:]*)(?::\d*)?$/i;
const hasBadEscape: Fits = like(/%(?![\da-f]{2})/i);

/** As url.ParseRequestURI: absolute, or an absolute path. */
function isUri(text: string): boolean {
  if (/\p{Cc}/u.test(text)) return false;
  const scheme = SCHEME.exec(text)?.[0] ?? "";
  const [rest = ""] = text.slice(scheme.length).split("?", 1);
  if (!rest.startsWith("/")) return scheme !== "" || text === "*";
  if (scheme === "" || !rest.startsWith("//")) return !hasBadEscape(rest);
  const [, authority = "", path = ""] = /^\/\/([^/]*)(.*)$/s.exec(rest) ?? [];
  return AUTHORITY.test(authority) && !hasBadEscape(path);
}

const ATOM = "[\\w!#$%&'*+/=?^`{|}~\\u0080-\\uffff-]+";
const WORD = `(?:${ATOM}|"(?:[^"\\\\]|\\\\.)*")`;
const ADDRESS = `(?:${ATOM}(?:\\.${ATOM})*|"(?:[^"\\\\]|\\\\.)*")@${ATOM}(?:\\.${ATOM})*`;
const EMAIL = new RegExp(`^\\s*(?:${ADDRESS}|(?:${WORD}(?:[ .]+${WORD})* *)?<${ADDRESS}>)\\s*$`);

/** Longer ones are looked at for longer than they are worth: a bound of our own. */
const TEXT_CHARACTERS_MAX = 1_000;
const isEmail: Fits = (text) => text.length <= TEXT_CHARACTERS_MAX && EMAIL.test(text);

const MAC =
  /^(?:(?:xx:){5}(?:(?:xx:){2}(?:(?:xx:){12})?)?xx|(?:xx-){5}(?:(?:xx-){2}(?:(?:xx-){12})?)?xx|(?:xxxx\.){2}(?:xxxx\.(?:(?:xxxx\.){6})?)?xxxx|(?:xx){6}(?:xx){2}|(?:xx){6}|(?:xx){20})$/;
const MAC_CHARACTERS_MAX = 59;
const isMac: Fits = (text) =>
  text.length <= MAC_CHARACTERS_MAX && !/x/i.test(text) && MAC.test(text.replace(/[\da-f]/gi, "x"));

function isDate(text: string): boolean {
  const [, year, month, day] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(text) ?? [];
  if (year === undefined) return false;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  return date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day);
}

function isDateTime(text: string): boolean {
  const [date = "", time = ""] = text.toLowerCase().split("t");
  const match = /^(\d\d):(\d\d):(\d\d)(?:.\d+)?(?:z|[+-]\d\d:\d\d)$/.exec(time);
  const [, hour = "99", minute = "", second = ""] = match ?? [];
  return isDate(date) && hour <= "23" && minute <= "59" && second <= "59";
}

const GO_DURATION = /^[-+]?(?:0|(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+)$/;
/** Units by a name, or by how a long name begins. */
const UNIT =
  /^(?:ns|us|µs|ms|s|m|h|hr|d|w|wk|nano.*|micro.*|milli.*|sec.*|min.*|hour.*|day.*|week.*)$/i;

/** As Go writes them, or with units anywhere in the text, as Scala does. */
const isDuration: Fits = (text) =>
  GO_DURATION.test(text) ||
  [...text.slice(0, TEXT_CHARACTERS_MAX).matchAll(/\d+\s*([A-Za-zµ]+)/g)].some(([, unit = ""]) =>
    UNIT.test(unit),
  );

const digitsOf = (text: string): number[] =>
  [...text].map((letter) => (letter === "X" ? 10 : Number(letter)));
const sum = (numbers: readonly number[]): number => numbers.reduce((all, each) => all + each, 0);
const bare = (text: string): string => text.replace(/[\s-]+/g, "");

const isIsbn10: Fits = (text) =>
  /^\d{9}[\dX]$/.test(bare(text)) &&
  sum(digitsOf(bare(text)).map((digit, at) => digit * (at + 1))) % 11 === 0;
const isIsbn13: Fits = (text) =>
  /^\d{13}$/.test(bare(text)) &&
  sum(digitsOf(bare(text)).map((digit, at) => digit * (at % 2 === 0 ? 1 : 3))) % 10 === 0;

const CARD = new RegExp(
  "^(?:4\\d{12}(?:\\d{3})?|5[1-5]\\d{14}|6(?:011|5\\d\\d)\\d{12}|3[47]\\d{13}|" +
    "3(?:0[0-5]|[68]\\d)\\d{11}|(?:2131|1800|35\\d{3})\\d{11})$",
);

function isCard(text: string): boolean {
  const digits = text.replace(/\D+/g, "");
  if (!CARD.test(digits)) return false;
  const doubled = digitsOf(digits)
    .reverse()
    .map((digit, at) => (at % 2 === 0 ? digit : digit * 2))
    .map((digit) => (digit > 9 ? digit - 9 : digit));
  return sum(doubled) % 10 === 0;
}

const BYTE = "\\s*(?:0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*";
const BASE64 = /^(?:[A-Za-z\d+/]{4})*(?:[A-Za-z\d+/]{2}==|[A-Za-z\d+/]{3}=|[A-Za-z\d+/]{4})$/;
const NAME_CHARACTERS_MAX = 63;
const LONG_NAME_CHARACTERS_MAX = 253;
const SSN_CHARACTERS = 11;
const SEGMENT = "[a-z\\d](?:[-a-z\\d]*[a-z\\d])?";
const SHORT_NAME = new RegExp(`^${SEGMENT}$`);
const LONG_NAME = new RegExp(`^${SEGMENT}(?:\\.${SEGMENT})*$`);

/** By name without dashes, as they are looked up. */
const FORMATS: Readonly<Record<string, Fits>> = {
  bsonobjectid: like(/^[\da-f]{24}$/i),
  uri: isUri,
  email: isEmail,
  hostname: isHostname,
  ipv4: (text) => text.includes(".") && addressValue(text) !== undefined,
  ipv6: (text) => text.includes(":") && addressValue(text) !== undefined,
  cidr: isCidr,
  mac: isMac,
  uuid: uuid(ANY_4, ANY_4),
  uuid3: uuid("3[\\da-f]{3}", ANY_4),
  uuid4: uuid("4[\\da-f]{3}", VARIANT),
  uuid5: uuid("5[\\da-f]{3}", VARIANT),
  isbn: (text) => isIsbn10(text) || isIsbn13(text),
  isbn10: isIsbn10,
  isbn13: isIsbn13,
  creditcard: isCard,
  ssn: (text) => text.length === SSN_CHARACTERS && /^\d{3}[- ]?\d\d[- ]?\d{4}$/.test(text),
  hexcolor: like(/^#?(?:[\da-f]{3}|[\da-f]{6})$/i),
  rgbcolor: like(new RegExp(`^rgb\\(${BYTE},${BYTE},${BYTE}\\)$`)),
  byte: like(BASE64),
  password: () => true,
  date: isDate,
  duration: isDuration,
  datetime: isDateTime,
  k8sshortname: (text) => text.length <= NAME_CHARACTERS_MAX && SHORT_NAME.test(text),
  k8slongname: (text) => text.length <= LONG_NAME_CHARACTERS_MAX && LONG_NAME.test(text),
};

export const checkFormat = (format: string, text: string): boolean =>
  FORMATS[format.replaceAll("-", "")]?.(text) ?? true;
