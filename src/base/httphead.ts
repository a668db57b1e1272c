/**
 * The one set of rules for HTTP/1 messages (RFC 9112). Where two programs read one message
 * differently, requests are smuggled: whatever could be read in two ways is rejected. A head is
 * text with one character a byte.
 */

/** The message cannot be served, or not be passed on; `status` is the answer to the client. */
export class HeadError extends Error {
  override name = "HeadError";
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** A line of a head: no control characters but the tab. */
export const TEXT = /^[\t\x20-\x7e\x80-\xff]*$/;
/** Servers disagree about methods in lower case. */
const METHOD = /^[A-Z][A-Z-]{0,31}$/;
const LENGTH = /^\d{1,15}$/;
const CHUNK_SIZE = /^([0-9A-Fa-f]{1,8})(?:;.*)?$/;
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~-]*)(?::\d{0,5})?$/;
const ABSOLUTE = /^https?:\/\/([^/?]+)(.*)$/i;
/** CONNECT makes a tunnel of the connection; TRACE and TRACK show the headers of others. */
const UNSERVED: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);

/** Lines in one head. A user's groups may come one a line. */
const LINES_MAX = 1_000;

const bad = (message: string): HeadError => new HeadError(400, message);

/** Headers of one connection only (RFC 9110 7.6.1): nothing is passed on of them. */
export const HOP_HEADERS: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Without them the next program reads another message; whoever writes the message makes them. */
export const FRAMING_HEADERS: ReadonlySet<string> = new Set([
  "content-length",
  "expect",
  "host",
  "transfer-encoding",
]);

/** @throws HeadError */
export function linesOf(text: string): string[] {
  const lines = text.split("\r\n");
  if (lines.length > LINES_MAX) throw new HeadError(431, "too many headers");
  return lines;
}

/** The name in a header's line, in lower case; its colon is right behind it. @throws HeadError */
export function nameOf(line: string): string {
  const name = line.slice(0, Math.max(line.indexOf(":"), 0)).toLowerCase();
  // A space before the colon, or a line that goes on with the one before, ends here too.
  if (!TOKEN.test(name) || !TEXT.test(line)) throw bad("malformed header");
  return name;
}

const isBlank = (code: number): boolean => code === 32 || code === 9;

/** The text from `from` on, without spaces and tabs around it. `trim` takes away more. */
function stripped(text: string, from = 0): string {
  let [start, end] = [from, text.length];
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

/** The value in a header's line. */
export const fieldValueOf = (line: string, name: string): string => stripped(line, name.length + 1);

/** The words of a list, in lower case. */
export function wordsOf(value: string): string[] {
  const text = value.toLowerCase();
  if (!text.includes(",")) return text === "" ? [] : [text];
  return text
    .split(",")
    .map((word) => stripped(word))
    .filter((word) => word !== "");
}

/** What Content-Length says: one number, no list of them. @throws HeadError */
export function lengthOf(value: string): number {
  if (!LENGTH.test(value)) throw bad("malformed Content-Length");
  return Number(value);
}

/** Any other coding may be understood differently by somebody else. @throws HeadError */
export function checkCoding(value: string): void {
  if (value.toLowerCase() !== "chunked") {
    throw new HeadError(501, "Transfer-Encoding other than chunked");
  }
}

/** Whether the client waits for a 100. @throws HeadError 417 for any other expectation. */
export function expectsContinue(value: string): boolean {
  if (value.toLowerCase() !== "100-continue") throw new HeadError(417, "unknown expectation");
  return true;
}

/** The size in a chunk's first line. @throws HeadError */
export function chunkSizeOf(line: string): number {
  const size = TEXT.test(line) ? CHUNK_SIZE.exec(line)?.[1] : undefined;
  if (size === undefined) throw bad("malformed chunk");
  return Number.parseInt(size, 16);
}

/** False: the line of a trailer is not to be passed on (RFC 9110 6.5.1). @throws HeadError */
export function isHarmlessTrailer(line: string): boolean {
  const name = nameOf(line);
  return !(
    HOP_HEADERS.has(name) ||
    FRAMING_HEADERS.has(name) ||
    /^(?:authorization|cookie|forwarded|set-cookie|x-real-ip|content-.*|x-forwarded-.*)$/.test(name)
  );
}

export interface RequestLine {
  readonly method: string;
  /** As it was sent. */
  readonly target: string;
  readonly minor: 0 | 1;
}

/** @throws HeadError */
export function requestLineOf(line: string): RequestLine {
  const [method = "", target = "", version = "", more] = line.split(" ");
  if (more !== undefined || version === "" || !METHOD.test(method)) throw bad("bad request line");
  const minor = version === "HTTP/1.1" ? 1 : version === "HTTP/1.0" ? 0 : undefined;
  if (minor === undefined) throw new HeadError(505, "HTTP/1.0 and HTTP/1.1 are served");
  if (UNSERVED.has(method)) throw new HeadError(405, `${method} is not served`);
  return { method, target, minor };
}

/** Clients name the same host again and again. */
let lastHost = "";

function isHost(text: string): boolean {
  if (text === lastHost) return true;
  if (!HOST.test(text)) return false;
  lastHost = text;
  return true;
}

export interface Address {
  /** Path and query, in origin form. */
  readonly target: string;
  /** Host and port; empty where a client of HTTP/1.0 named none. */
  readonly authority: string;
}

/** Whom a request is for; `host` is what its Host header says. @throws HeadError */
export function addressOf(
  { method, target, minor }: RequestLine,
  host: string | undefined,
): Address {
  if (host === undefined && minor === 1) throw bad("no Host");
  if (target.includes("#")) throw bad("bad request target");
  const authority = host ?? "";
  if (!isHost(authority)) throw bad("bad Host");
  if (target.startsWith("/") || (target === "*" && method === "OPTIONS")) {
    return { target, authority };
  }
  const [, named = "", rest = ""] = ABSOLUTE.exec(target) ?? [];
  if (named === "") throw bad("bad request target");
  if (!isHost(named)) throw bad("bad Host");
  return { target: rest.startsWith("/") ? rest : `/${rest}`, authority: named };
}
