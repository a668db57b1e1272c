/** What of a request's headers goes to somebody else's server: nothing that proves who asks. */
import { HOP_HEADERS, wordsOf } from "#base/httphead.ts";

/** Who asks, and what is made anew for the next connection. */
const KEPT: ReadonlySet<string> = new Set(["authorization", "content-length", "expect", "host"]);
/** Set by this server alone, where it is set at all. */
const CLAIMED = /^(?:impersonate-|x-remote-)/;

const TOKEN_PROTOCOL = "base64url.bearer.";

/** Protocols of a WebSocket without those that carry a token. */
export const protocolsOf = (headers: Headers): string[] =>
  (headers.get("sec-websocket-protocol") ?? "")
    .split(",")
    .map((each) => each.trim())
    .filter((each) => each !== "" && !each.toLowerCase().startsWith(TOKEN_PROTOCOL));

/** Without credentials. Some servers read `_` in a name as `-`. */
export function withoutCredentials(given: Headers): Headers {
  const named = new Set(wordsOf(given.get("connection") ?? ""));
  const headers = new Headers();
  given.forEach((value, name) => {
    const plain = name.replaceAll("_", "-");
    if (HOP_HEADERS.has(plain) || KEPT.has(plain) || CLAIMED.test(plain) || named.has(name)) return;
    headers.append(name, value);
  });
  const protocols = protocolsOf(headers);
  if (protocols.length > 0) headers.set("sec-websocket-protocol", protocols.join(", "));
  else headers.delete("sec-websocket-protocol");
  return headers;
}

/**
 * For a Service, a pod, a node or another API server; with where the request came from, as upstream
 * says it. `address` is the client's.
 */
export function headersForBackend(request: Request, address: string | undefined): Headers {
  const headers = withoutCredentials(request.headers);
  const { protocol, host, pathname } = new URL(request.url);
  if (address !== undefined) headers.append("x-forwarded-for", address);
  headers.set("x-forwarded-host", request.headers.get("host") ?? host);
  headers.set("x-forwarded-proto", protocol.slice(0, -1));
  headers.set("x-forwarded-uri", pathname);
  return headers;
}
