/** What is sent on: heads as text, and how the bodies behind them end. */
import { Body } from "#agents/ingress/body.ts";
import type { Framing, RequestHead, ResponseHead } from "#agents/ingress/head.ts";
import { isBodiless } from "#base/httpanswer.ts";

/** These may be sent twice (RFC 9110 9.2.2). */
export const IDEMPOTENT: ReadonlySet<string> = new Set([
  "GET",
  "HEAD",
  "OPTIONS",
  "PUT",
  "DELETE",
  "TRACE",
]);

export const bodyOf = ({ chunked, length }: Framing): Body =>
  chunked ? new Body("chunked") : new Body("length", length ?? 0);

/** RFC 9112 6.3. */
export function answerBody(method: string, head: ResponseHead): Body {
  if (isBodiless(method, head.status)) return new Body("none");
  if (head.chunked || head.length !== undefined) return bodyOf(head);
  return new Body("close");
}

export interface Origin {
  /** The client's address. */
  address: string;
  isSecure: boolean;
  /** Where it reached us. */
  port: number;
}

/** What a client says of where it comes from is left out: anybody could say it. */
export function requestText(head: RequestHead, { address, isSecure, port }: Origin): string {
  const { method, target, minor, passed, authority, upgrade } = head;
  const closing = minor === 0 ? "Connection: close\r\n" : "";
  const connection =
    upgrade === undefined ? closing : `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  return (
    `${method} ${target} HTTP/1.${minor}\r\n${passed}${connection}` +
    `X-Forwarded-For: ${address}\r\nX-Forwarded-Host: ${authority}\r\n` +
    `X-Forwarded-Port: ${port}\r\nX-Forwarded-Proto: ${isSecure ? "https" : "http"}\r\n` +
    `X-Real-Ip: ${address}\r\n\r\n`
  );
}

/** `connection`: `close`, `keep-alive`, or nothing where the version says it. */
export function answerText(head: ResponseHead, connection: string, date: string): string {
  const server = head.hasServer ? "" : "Server: bramble\r\n";
  const dated = head.hasDate ? "" : `Date: ${date}\r\n`;
  const last = connection === "" ? "" : `Connection: ${connection}\r\n`;
  return `HTTP/1.1 ${head.statusText}\r\n${head.passed}${server}${dated}${last}\r\n`;
}

/** RFC 9110 7.8. */
export const tunnelText = ({ statusText, passed, upgrade }: ResponseHead, asked: string): string =>
  `HTTP/1.1 ${statusText}\r\n${passed}Connection: Upgrade\r\nUpgrade: ${upgrade ?? asked}\r\n\r\n`;

export function withHead(text: string, part: Buffer): Buffer {
  const joined = Buffer.allocUnsafe(text.length + part.length);
  joined.write(text, "latin1");
  part.copy(joined, text.length);
  return joined;
}
