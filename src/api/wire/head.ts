/**
 * The head of an HTTP/1.1 request, read strictly: what two programs could read in two ways is
 * refused, so that nothing is smuggled past a proxy (RFC 9112, sections 2-6 and 11.2).
 */
import {
  addressOf,
  checkCoding,
  expectsContinue,
  fieldValueOf,
  HeadError,
  lengthOf,
  linesOf,
  nameOf,
  requestLineOf,
  wordsOf,
} from "#base/httphead.ts";

export interface Head {
  readonly method: string;
  readonly version: "HTTP/1.0" | "HTTP/1.1";
  /** Path and query as they were sent; begins with a slash. */
  readonly target: string;
  /** `host:port` as the client names this server; "" where HTTP/1.0 left it out. */
  readonly host: string;
  /** Lower-case names; values of a name that came more than once are joined by a comma. */
  readonly headers: Record<string, string>;
  /** Bytes that follow, or chunks. */
  readonly body: number | "chunked";
  /** The connection may carry another request. */
  readonly keepAlive: boolean;
  /** The client waits for a 100 before it sends its body. */
  readonly expectsContinue: boolean;
}

const BAD_TARGET = /[^\x21-\x7e]/;
/** Said twice, these mean two things. */
const SINGLE = new Set(["host", "content-length", "transfer-encoding", "expect", "authorization"]);

const bad = (message: string): HeadError => new HeadError(400, message);

function readHeaders(text: string): Record<string, string> {
  // Without a prototype: a header may be called `constructor`.
  const headers: Record<string, string> = Object.create(null);
  if (text === "") return headers;
  for (const line of linesOf(text)) {
    const key = nameOf(line);
    const value = fieldValueOf(line, key);
    const before = headers[key];
    if (before === undefined) headers[key] = value;
    else if (SINGLE.has(key)) throw bad(`more than one ${key}`);
    else headers[key] = `${before}${key === "cookie" ? "; " : ", "}${value}`;
  }
  return headers;
}

function bodyOf(headers: Record<string, string>, minor: 0 | 1): number | "chunked" {
  const coding = headers["transfer-encoding"];
  const length = headers["content-length"];
  if (coding !== undefined) {
    if (length !== undefined || minor === 0) throw bad("a length and a transfer encoding");
    checkCoding(coding);
    return "chunked";
  }
  return length === undefined ? 0 : lengthOf(length);
}

/** What the lines after the first one say. Clients say the same again and again. */
interface Fields {
  readonly text: string;
  readonly minor: 0 | 1;
  readonly headers: Record<string, string>;
  readonly body: number | "chunked";
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
}

function readFields(text: string, minor: 0 | 1): Fields {
  const headers = readHeaders(text);
  const connection = wordsOf(headers["connection"] ?? "");
  const { expect } = headers;
  return {
    text,
    minor,
    headers,
    body: bodyOf(headers, minor),
    keepAlive: minor === 1 ? !connection.includes("close") : connection.includes("keep-alive"),
    expectsContinue: minor === 1 && expect !== undefined && expectsContinue(expect),
  };
}

/** Reads the heads of one connection. Headers that are those of the last head are not read anew. */
export class HeadReader {
  #last: Fields | undefined;

  /**
   * `text` is the head without the empty line at its end, one character a byte (latin1).
   * @throws HeadError
   */
  read(text: string): Head {
    const end = text.indexOf("\r\n");
    const line = requestLineOf(end < 0 ? text : text.slice(0, end));
    const { method, minor } = line;
    if (BAD_TARGET.test(line.target)) throw bad("malformed target");
    const rest = end < 0 ? "" : text.slice(end + 2);
    let fields = this.#last;
    if (fields === undefined || fields.text !== rest || fields.minor !== minor) {
      fields = readFields(rest, minor);
      this.#last = fields;
    }
    const { headers, body, keepAlive, expectsContinue: expects } = fields;
    const { target, authority: host } = addressOf(line, headers["host"]);
    if (target === "*") throw bad("malformed target");
    const version = minor === 1 ? "HTTP/1.1" : "HTTP/1.0";
    return { method, version, target, host, headers, body, keepAlive, expectsContinue: expects };
  }
}
