/**
 * Heads of HTTP/1 messages (RFC 9112): parsed strictly, since two programs that read one message
 * differently let requests be smuggled; what concerns one connection only is left out of what is
 * passed on.
 */
import { statusOf } from "#base/httpanswer.ts";
import { HeadError, lengthOf, nameOf, TEXT, TOKEN } from "#base/httphead.ts";
import { limits } from "#base/limits.ts";

/** How a message's body ends. */
export interface Framing {
  chunked: boolean;
  /** Undefined where no length was given. */
  length: number | undefined;
}

export interface RequestHead extends Framing {
  method: string;
  /** As it was sent, in origin form: path and query. */
  target: string;
  /** Lower case, without the port; empty where a client of HTTP/1.0 named none. */
  host: string;
  /** As the client wrote it. */
  authority: string;
  /** HTTP/1.0 has 0. */
  minor: 0 | 1;
  keepAlive: boolean;
  /** What the connection should become (`websocket`). */
  upgrade: string | undefined;
  /** Header lines for the other side, each with its end. */
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
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._~%-]*)(?::\d{0,5})?$/;

/** Of one connection only (RFC 9110 7.6.1), or ours to say. */
const OWN: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "upgrade",
  "x-forwarded-for",
  "x-forwarded-host",
  "x-forwarded-port",
  "x-forwarded-proto",
  "x-forwarded-server",
  "x-real-ip",
  "forwarded",
  "proxy",
]);
const RESPONSE_OWN: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "upgrade",
]);

interface Fields extends Framing {
  passed: string;
  hosts: string[];
  connection: string[];
  upgrade: string | undefined;
  hasServer: boolean;
  hasDate: boolean;
}

/** A length may be told twice, but not two of them. */
function sameLength(value: string, known: number | undefined): number {
  const length = lengthOf(value);
  if (known !== undefined && known !== length) throw new HeadError(400, "two Content-Lengths");
  return length;
}

/** Headers that the Connection header names are of this connection only, too. */
function withoutNamed(lines: readonly string[], connection: readonly string[]): string {
  const named = new Set(connection);
  const kept = lines.filter((line) => !named.has(line.slice(0, line.indexOf(":")).toLowerCase()));
  return kept.length === 0 ? "" : `${kept.join("\r\n")}\r\n`;
}

function take(fields: Fields, name: string, value: string): void {
  switch (name) {
    case "host":
      fields.hosts.push(value);
      return;
    case "content-length":
      fields.length = sameLength(value, fields.length);
      return;
    case "transfer-encoding":
      // Any other coding, or one told twice, may be understood differently behind us.
      if (value.toLowerCase() !== "chunked" || fields.chunked) {
        throw new HeadError(501, "Transfer-Encoding other than chunked");
      }
      fields.chunked = true;
      return;
    case "connection":
      for (const word of value.split(",")) fields.connection.push(word.trim().toLowerCase());
      return;
    case "upgrade":
      fields.upgrade = value;
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

function readFields(lines: readonly string[], own: ReadonlySet<string>): Fields {
  const fields: Fields = {
    passed: "",
    hosts: [],
    connection: [],
    chunked: false,
    length: undefined,
    upgrade: undefined,
    hasServer: false,
    hasDate: false,
  };
  const kept: string[] = [];
  for (let at = 1; at < lines.length; at++) {
    const line = lines[at] ?? "";
    const name = nameOf(line);
    take(fields, name, line.slice(name.length + 1).trim());
    if (!own.has(name)) kept.push(line);
  }
  if (fields.chunked && fields.length !== undefined) {
    throw new HeadError(400, "Content-Length beside Transfer-Encoding");
  }
  const special = fields.connection.filter((word) => word !== "close" && word !== "keep-alive");
  fields.passed =
    special.length > 0
      ? withoutNamed(kept, special)
      : kept.length > 0
        ? `${kept.join("\r\n")}\r\n`
        : "";
  return fields;
}

/** Keep-alive as the version has it by default and the Connection header otherwise. */
function staysOpen(minor: number, { connection }: Fields): boolean {
  if (connection.includes("close")) return false;
  return minor === 1 || connection.includes("keep-alive");
}

function upgradeOf({ connection, upgrade }: Fields): string | undefined {
  if (upgrade === undefined || !connection.includes("upgrade")) return undefined;
  // HTTP/2 by upgrade is no more (RFC 9113); what a client tries with it works without.
  return /^h2c?\b/i.test(upgrade) ? undefined : upgrade;
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i;

/** `text`: everything before the empty line, one character a byte. */
export function parseRequest(text: string): RequestHead {
  const lines = text.split("\r\n");
  const start = (lines[0] ?? "").split(" ");
  const [method = "", sent = "", version = ""] = start;
  const minor = version === "HTTP/1.1" ? 1 : version === "HTTP/1.0" ? 0 : undefined;
  if (start.length !== 3 || !TOKEN.test(method)) throw new HeadError(400, "bad request line");
  if (minor === undefined) throw new HeadError(505, "HTTP/1.0 and HTTP/1.1 are served");
  if (sent.length > limits.ingressTargetBytesMax) throw new HeadError(414, "URI too long");
  if (!TARGET.test(sent)) throw new HeadError(400, "bad request target");
  const fields = readFields(lines, OWN);
  if (fields.hosts.length > 1) throw new HeadError(400, "more than one Host");
  if (minor === 1 && fields.hosts.length === 0) throw new HeadError(400, "no Host");
  if (minor === 0 && fields.chunked) throw new HeadError(400, "chunked in HTTP/1.0");
  let authority = fields.hosts[0] ?? "";
  let target = sent;
  const absolute = target.startsWith("/") ? null : ABSOLUTE.exec(target);
  if (absolute !== null) {
    authority = absolute[1] ?? "";
    const rest = absolute[2] ?? "";
    target = rest.startsWith("/") ? rest : `/${rest}`;
    fields.passed = fields.passed.replace(/^host:.*\r\n/im, `Host: ${authority}\r\n`);
  } else if (!target.startsWith("/") && !(target === "*" && method === "OPTIONS")) {
    throw new HeadError(method === "CONNECT" ? 405 : 400, "bad request target");
  }
  if (!HOST.test(authority)) throw new HeadError(400, "bad Host");
  return {
    method,
    target,
    host: hostOf(authority),
    authority,
    minor,
    keepAlive: staysOpen(minor, fields),
    upgrade: upgradeOf(fields),
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

/** As above. A HeadError here means that the backend is broken. */
export function parseResponse(text: string): ResponseHead {
  const lines = text.split("\r\n");
  const line = lines[0] ?? "";
  const status = statusOf(line);
  if (status === undefined || !TEXT.test(line)) throw new HeadError(502, "bad status line");
  const fields = readFields(lines, RESPONSE_OWN);
  return {
    status,
    statusText: `${line.slice(9, 12)} ${line.slice(13)}`,
    keepAlive: staysOpen(Number(line[7]), fields),
    upgrade: fields.upgrade,
    passed: fields.passed,
    chunked: fields.chunked,
    length: fields.length,
    hasServer: fields.hasServer,
    hasDate: fields.hasDate,
  };
}
