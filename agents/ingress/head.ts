/**
 * Heads of HTTP/1 messages (RFC 9112), read by the rules of `httphead.ts`. Headers that frame the
 * message or belong to one connection are read and left out; whoever sends the message on writes
 * its own.
 */
import { statusOf } from "#base/httpanswer.ts";
import {
  addressOf,
  checkCoding,
  expectsContinue,
  FRAMING_HEADERS,
  fieldValueOf,
  HeadError,
  HOP_HEADERS,
  lengthOf,
  linesOf,
  nameOf,
  requestLineOf,
  TEXT,
  wordsOf,
} from "#base/httphead.ts";
import { limits } from "#base/limits.ts";

/** How a message's body ends. */
export interface Framing {
  chunked: boolean;
  /** Undefined where no length was given. */
  length: number | undefined;
}

export interface RequestHead extends Framing {
  method: string;
  /** Path and query. */
  target: string;
  /** Lower case, without the port; empty where a client of HTTP/1.0 named none. */
  host: string;
  /** As the client wrote it. */
  authority: string;
  /** HTTP/1.0 has 0. */
  minor: 0 | 1;
  keepAlive: boolean;
  /** The client waits for a 100 before it sends its body. */
  expectsContinue: boolean;
  /** What the connection should become (`websocket`). */
  upgrade: string | undefined;
  /** Header lines for the other side, each with its end; none of them frames the message. */
  passed: string;
}

export interface ResponseHead extends Framing {
  status: number;
  /** `200 OK`. */
  statusText: string;
  keepAlive: boolean;
  upgrade: string | undefined;
  passed: string;
  hasServer: boolean;
  hasDate: boolean;
}

const TARGET = /^[\x21-\x7e\x80-\xff]+$/;
/** The name of a protocol, with its version. */
const PROTOCOL = /^[!#$%&'*+\-.^_`|~/0-9A-Za-z]+$/;

/** Left out of what is passed on; the last ones are ours to say, as anybody could write them. */
const OWN: ReadonlySet<string> = new Set([
  ...HOP_HEADERS,
  ...FRAMING_HEADERS,
  "forwarded",
  "proxy",
  "x-real-ip",
]);

/** CGI and its like read `_` as `-`. */
const isPassed = (name: string): boolean => {
  if (name.includes("_")) return isPassed(name.replaceAll("_", "-"));
  return !OWN.has(name) && !name.startsWith("x-forwarded-");
};
/** All of the above but what the backend says to the client, trailers included. */
const OWN_BACK: ReadonlySet<string> = new Set(
  [...HOP_HEADERS, ...FRAMING_HEADERS].filter(
    (name) => name !== "proxy-authenticate" && name !== "trailer",
  ),
);
const isPassedBack = (name: string): boolean => !OWN_BACK.has(name);

interface Fields extends Framing {
  passed: string;
  hosts: string[];
  connection: string[];
  upgrade: string[];
  expectsContinue: boolean;
  hasServer: boolean;
  hasDate: boolean;
}

/** Headers that the Connection header names are of this connection only, too. */
function withoutNamed(lines: readonly string[], connection: readonly string[]): string[] {
  const named = new Set(connection);
  return lines.filter((line) => !named.has(line.slice(0, line.indexOf(":")).toLowerCase()));
}

/** Most headers are passed on without a look at their value. */
function take(fields: Fields, name: string, line: string): void {
  switch (name) {
    case "host":
      fields.hosts.push(fieldValueOf(line, name));
      return;
    case "content-length":
      if (fields.length !== undefined) throw new HeadError(400, "two Content-Lengths");
      fields.length = lengthOf(fieldValueOf(line, name));
      return;
    case "transfer-encoding":
      checkCoding(fieldValueOf(line, name));
      if (fields.chunked) throw new HeadError(400, "two Transfer-Encodings");
      fields.chunked = true;
      return;
    case "connection":
      fields.connection.push(...wordsOf(fieldValueOf(line, name)));
      return;
    case "upgrade":
      fields.upgrade.push(
        ...line
          .slice(name.length + 1)
          .split(",")
          .map((each) => each.trim()),
      );
      return;
    case "expect":
      fields.expectsContinue = expectsContinue(fieldValueOf(line, name));
      return;
    case "server":
      fields.hasServer = true;
      return;
    case "date":
      fields.hasDate = true;
      return;
    default:
  }
}

function readFields(lines: readonly string[], passes: (name: string) => boolean): Fields {
  const fields: Fields = {
    passed: "",
    hosts: [],
    connection: [],
    chunked: false,
    length: undefined,
    upgrade: [],
    expectsContinue: false,
    hasServer: false,
    hasDate: false,
  };
  const kept: string[] = [];
  for (let at = 1; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const name = nameOf(line);
    take(fields, name, line);
    if (passes(name)) kept.push(line);
  }
  if (fields.chunked && fields.length !== undefined) {
    throw new HeadError(400, "Content-Length beside Transfer-Encoding");
  }
  const special = fields.connection.some((word) => word !== "close" && word !== "keep-alive");
  const passed = special ? withoutNamed(kept, fields.connection) : kept;
  fields.passed = passed.length > 0 ? `${passed.join("\r\n")}\r\n` : "";
  return fields;
}

/** Keep-alive as the version has it by default and the Connection header otherwise. */
function staysOpen(minor: number, { connection }: Fields): boolean {
  if (connection.includes("close")) return false;
  return minor === 1 || connection.includes("keep-alive");
}

/**
 * The first protocol that is no HTTP. HTTP/2 by upgrade is no more (RFC 9113), and requests within
 * it would pass unseen; a client that tries it goes on without.
 */
function upgradeOf(minor: number, { connection, upgrade }: Fields): string | undefined {
  if (minor === 0 || !connection.includes("upgrade")) return undefined;
  return upgrade.find((each) => PROTOCOL.test(each) && !/^(?:h2|http|tls)/i.test(each));
}

/** `text`: everything before the empty line, one character a byte. @throws HeadError */
export function parseRequest(text: string): RequestHead {
  const lines = linesOf(text);
  const line = requestLineOf(lines[0] ?? "");
  const { method, minor } = line;
  if (line.target.length > limits.ingressTargetBytesMax) throw new HeadError(414, "URI too long");
  if (!TARGET.test(line.target)) throw new HeadError(400, "bad request target");
  const fields = readFields(lines, isPassed);
  if (fields.hosts.length > 1) throw new HeadError(400, "more than one Host");
  if (minor === 0 && fields.chunked) throw new HeadError(400, "chunked in HTTP/1.0");
  const { target, authority } = addressOf(line, fields.hosts[0]);
  return {
    method,
    target,
    host: hostOf(authority),
    authority,
    minor,
    keepAlive: staysOpen(minor, fields),
    expectsContinue: minor === 1 && fields.expectsContinue,
    upgrade: upgradeOf(minor, fields),
    passed: fields.passed,
    chunked: fields.chunked,
    length: fields.length,
  };
}

function hostOf(authority: string): string {
  const end = authority.startsWith("[") ? authority.indexOf("]") + 1 : authority.indexOf(":");
  const name = (end > 0 ? authority.slice(0, end) : authority).toLowerCase();
  return name.endsWith(".") ? name.slice(0, -1) : name;
}

/** As above. @throws HeadError where the backend is broken. */
export function parseResponse(text: string): ResponseHead {
  const lines = linesOf(text);
  const line = lines[0] ?? "";
  const status = statusOf(line);
  if (status === undefined || status < 100 || !TEXT.test(line)) {
    throw new HeadError(502, "bad status line");
  }
  const minor = Number(line[7]);
  const fields = readFields(lines, isPassedBack);
  if (minor === 0 && fields.chunked) throw new HeadError(502, "chunked in HTTP/1.0");
  return {
    status,
    statusText: `${line.slice(9, 12)} ${line.slice(13)}`,
    keepAlive: staysOpen(minor, fields),
    upgrade: fields.upgrade[0],
    passed: fields.passed,
    chunked: fields.chunked,
    length: fields.length,
    hasServer: fields.hasServer,
    hasDate: fields.hasDate,
  };
}
