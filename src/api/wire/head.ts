/**
 * The head of an HTTP/1.1 request, read strictly: what two programs could read in two ways is
 * refused, so that nothing is smuggled past a proxy (RFC 9112, sections 2-6 and 11.2).
 */
import { HeadError, lengthOf, nameOf } from "#base/httphead.ts";

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

const METHOD = /^[A-Z]{1,20}$/;
const BAD_TARGET = /[^\x21-\x7e]/;
const HOST = /^[A-Za-z0-9.\-_~%:[\]]*$/;
/** Methods that a Request cannot hold, or that make no sense here. */
const UNSERVED = new Set(["CONNECT", "TRACE", "TRACK"]);
/** Said twice, these mean two things. */
const SINGLE = new Set(["host", "content-length", "transfer-encoding", "authorization"]);

const bad = (message: string): HeadError => new HeadError(400, message);

function readHeaders(text: string): Record<string, string> {
  const headers: Record<string, string> = {};
  if (text === "") return headers;
  for (const line of text.split("\r\n")) {
    const key = nameOf(line);
    const value = line.slice(key.length + 1).trim();
    const before = headers[key];
    if (before === undefined) headers[key] = value;
    else if (SINGLE.has(key)) throw bad(`more than one ${key}`);
    else headers[key] = `${before}${key === "cookie" ? "; " : ", "}${value}`;
  }
  return headers;
}

function bodyOf(headers: Record<string, string>, minor: string): number | "chunked" {
  const coding = headers["transfer-encoding"];
  const length = headers["content-length"];
  if (coding !== undefined) {
    if (length !== undefined || minor === "0") throw bad("a length and a transfer encoding");
    if (coding.toLowerCase() !== "chunked") throw new HeadError(501, "unsupported encoding");
    return "chunked";
  }
  return length === undefined ? 0 : lengthOf(length);
}

/** The path of a target; proxies send the whole URL. */
function originForm(target: string): string {
  if (BAD_TARGET.test(target)) throw bad("malformed target");
  if (target.startsWith("/")) return target;
  const absolute = /^https?:\/\/[^/?#]+/i.exec(target);
  if (absolute === null) throw bad("malformed target");
  const rest = target.slice(absolute[0].length);
  return rest.startsWith("/") ? rest : `/${rest}`;
}

/** What the lines after the first one say. Clients say the same again and again. */
interface Fields {
  readonly text: string;
  readonly minor: string;
  readonly headers: Record<string, string>;
  readonly host: string;
  readonly body: number | "chunked";
  readonly keepAlive: boolean;
  readonly expectsContinue: boolean;
}

function readFields(text: string, minor: string): Fields {
  const headers = readHeaders(text);
  const { host } = headers;
  if ((host === undefined && minor === "1") || (host !== undefined && !HOST.test(host))) {
    throw bad("malformed host");
  }
  const connection = headers["connection"]?.toLowerCase() ?? "";
  return {
    text,
    minor,
    headers,
    host: host ?? "",
    body: bodyOf(headers, minor),
    keepAlive: minor === "1" ? !/\bclose\b/.test(connection) : /\bkeep-alive\b/.test(connection),
    expectsContinue: minor === "1" && headers["expect"]?.toLowerCase() === "100-continue",
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
    const line = end < 0 ? text : text.slice(0, end);
    const [method = "", target = "", version = "", more] = line.split(" ");
    if (more !== undefined || !METHOD.test(method)) throw bad("malformed request line");
    if (version !== "HTTP/1.1" && version !== "HTTP/1.0") {
      throw new HeadError(505, "HTTP/1.1 is spoken here");
    }
    if (UNSERVED.has(method)) throw new HeadError(405, `${method} is not served`);
    const rest = end < 0 ? "" : text.slice(end + 2);
    const minor = version.slice(-1);
    let fields = this.#last;
    if (fields === undefined || fields.text !== rest || fields.minor !== minor) {
      fields = readFields(rest, minor);
      this.#last = fields;
    }
    const { headers, host, body, keepAlive, expectsContinue } = fields;
    const path = originForm(target);
    return { method, version, target: path, host, headers, body, keepAlive, expectsContinue };
  }
}
