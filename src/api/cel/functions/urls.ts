/** URLs. https://kubernetes.io/docs/reference/using-api/cel/#kubernetes-url-library */
import { fn, method, type Overload, walksText } from "#api/cel/engine/overload.ts";
import { CelError } from "#api/cel/engine/problems.ts";
import { bool, listOf, mapOf, opaque, string } from "#api/cel/engine/types.ts";
import { Extension, List, LiteralMap, type Value } from "#api/cel/engine/values.ts";
import { instance, text } from "#api/cel/functions/arguments.ts";

export const urlType = opaque("kubernetes.URL");

interface Parts {
  readonly scheme: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly fragment: string;
}

const bad = (value: string, why: string): CelError =>
  new CelError(
    `URL parse error during conversion from string: parse ${JSON.stringify(value)}: ${why}`,
  );

const SCHEME = /^([a-zA-Z][a-zA-Z0-9+.-]*):/;

/** A URL with a scheme, or a path from the root, as Go's url.ParseRequestURI takes it. */
export function parseUrl(value: string): Parts {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is refused.
  if (/[\x00-\x1f\x7f]/.test(value)) throw bad(value, "net/url: invalid control character in URL");
  if (value === "") throw bad(value, "empty url");
  const scheme = SCHEME.exec(value)?.[1];
  let rest = scheme === undefined ? value : value.slice(scheme.length + 1);
  if (scheme === undefined && value.startsWith(":")) throw bad(value, "missing protocol scheme");
  if (!rest.startsWith("/")) throw bad(value, "invalid URI for request");
  const hash = rest.indexOf("#");
  const fragment = hash < 0 ? "" : rest.slice(hash + 1);
  if (hash >= 0) rest = rest.slice(0, hash);
  const mark = rest.indexOf("?");
  const query = mark < 0 ? "" : rest.slice(mark + 1);
  if (mark >= 0) rest = rest.slice(0, mark);
  let host = "";
  if (scheme !== undefined && rest.startsWith("//")) {
    const slash = rest.indexOf("/", 2);
    const authority = rest.slice(2, slash < 0 ? undefined : slash);
    rest = slash < 0 ? "" : rest.slice(slash);
    host = authority.slice(authority.lastIndexOf("@") + 1);
    checkHost(value, host);
  }
  if (/%(?![0-9a-fA-F]{2})/.test(rest)) throw bad(value, "invalid URL escape");
  return { scheme: scheme?.toLowerCase() ?? "", host, path: rest, query, fragment };
}

function checkHost(value: string, host: string): void {
  if (/[\s<>"^`{}|\\]/.test(host)) throw bad(value, "invalid character in host name");
  const open = host.indexOf("[");
  if (open > 0 || (open === 0 && !host.includes("]"))) throw bad(value, "missing ']' in host");
  const port = /:([^\]]*)$/.exec(host)?.[1];
  if (port !== undefined && !/^\d*$/.test(port)) {
    throw bad(value, `invalid port ${JSON.stringify(`:${port}`)} after host`);
  }
}

class Url extends Extension {
  readonly type = urlType;
  readonly parts: Parts;

  constructor(value: string) {
    super();
    this.parts = parseUrl(value);
  }

  equals(other: Extension): boolean {
    if (!(other instanceof Url)) return false;
    return JSON.stringify(other.parts) === JSON.stringify(this.parts);
  }
}

const hostOf = (value: Value | undefined): string => instance(value, Url).parts.host;

function hostname(host: string): string {
  const inBrackets = /^\[(.*)\]/.exec(host)?.[1];
  return inBrackets ?? host.replace(/:[^:]*$/, "");
}

const port = (host: string): string => /:(\d*)$/.exec(host)?.[1] ?? "";

const escapedPath = (path: string): string =>
  path.replace(/[^A-Za-z0-9\-._~!$&'()*+,;=:@/%[\]]/gu, (char) => encodeURIComponent(char));

function queryOf(query: string): LiteralMap {
  const values = new Map<string, string[]>();
  for (const [name, value] of new URLSearchParams(query)) {
    values.set(name, [...(values.get(name) ?? []), value]);
  }
  const out = new LiteralMap();
  for (const [name, each] of values) out.put(name, new List(each));
  return out;
}

function isUrl(value: string): boolean {
  try {
    parseUrl(value);
    return true;
  } catch {
    return false;
  }
}

const walks = { cost: walksText() };

export const urls: readonly Overload[] = [
  fn("url", [string], urlType, ([a]) => new Url(text(a)), walks),
  fn("isURL", [string], bool, ([a]) => isUrl(text(a)), walks),
  method("getScheme", [urlType], string, ([a]) => instance(a, Url).parts.scheme),
  method("getHost", [urlType], string, ([a]) => hostOf(a)),
  method("getHostname", [urlType], string, ([a]) => hostname(hostOf(a))),
  method("getPort", [urlType], string, ([a]) => port(hostOf(a))),
  method("getEscapedPath", [urlType], string, ([a]) => escapedPath(instance(a, Url).parts.path)),
  method("getQuery", [urlType], mapOf(string, listOf(string)), ([a]) =>
    queryOf(instance(a, Url).parts.query),
  ),
];
