/** What is sent on: heads as text, and how the bodies behind them end. */
import { Body } from "#agents/ingress/body.ts";
import type { Framing, RequestHead, ResponseHead } from "#agents/ingress/head.ts";
import { isBodiless } from "#base/httpanswer.ts";

/** These may be sent twice (RFC 9110 9.2.2). */
export const IDEMPOTENT: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Many servers leave a body unread where it has no meaning (RFC 9110 9.3). */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "DELETE"]);

export const bodyOf = ({ chunked, length }: Framing): Body =>
  chunked ? new Body("chunked") : new Body("length", length ?? 0);

/** RFC 9112 6.3. */
export function answerBody(method: string, head: ResponseHead): Body {
  if (isBodiless(method, head.status)) return new Body("none");
  if (head.chunked || head.length !== undefined) return bodyOf(head);
  return new Body("close");
}

/**
 * Whether the connection may serve another request. Not where the endpoint may have left bytes of
 * this one unread, or may send bytes that no answer has: another client would get them.
 */
export function mayReuse(
  request: { head: RequestHead; body: Body },
  answer: { head: ResponseHead; body: Body },
): boolean {
  const { status, chunked, length = 0, keepAlive } = answer.head;
  const isUnasked = status === 204 && (chunked || length > 0);
  const mayBeUnread = request.body.bytes > 0 && BODILESS.has(request.head.method);
  if (isUnasked || mayBeUnread || !request.body.done) return false;
  return keepAlive && answer.body.end !== "close" && request.head.minor === 1;
}

export interface Origin {
  /** The client's address. */
  address: string;
  isSecure: boolean;
  /** Where it reached us. */
  port: number;
}

/** How the message's body ends, in one way only. */
const framingText = ({ chunked, length }: Framing): string => {
  if (chunked) return "Transfer-Encoding: chunked\r\n";
  return length === undefined ? "" : `Content-Length: ${length}\r\n`;
};

/** Written anew from what was read. What a client says of where it comes from is left out. */
export function requestText(head: RequestHead, { address, isSecure, port }: Origin): string {
  const { method, target, minor, passed, authority, upgrade } = head;
  const host = authority === "" && minor === 0 ? "" : `Host: ${authority}\r\n`;
  const expect = head.expectsContinue ? "Expect: 100-continue\r\n" : "";
  const closing = minor === 0 ? "Connection: close\r\n" : "";
  const connection =
    upgrade === undefined ? closing : `Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n`;
  return (
    `${method} ${target} HTTP/1.${minor}\r\n${host}${passed}` +
    `${framingText(head)}${expect}${connection}` +
    `X-Forwarded-For: ${address}\r\nX-Forwarded-Host: ${authority}\r\n` +
    `X-Forwarded-Port: ${port}\r\nX-Forwarded-Proto: ${isSecure ? "https" : "http"}\r\n` +
    `X-Real-Ip: ${address}\r\n\r\n`
  );
}

/** An answer without a body may say how long it would be, and nothing of chunks. */
function answerFraming(head: ResponseHead, body: Body): string {
  if (body.end !== "none") return framingText(head);
  return head.status === 204 ? "" : framingText({ chunked: false, length: head.length });
}

export interface AnswerOptions {
  body: Body;
  /** `close`, `keep-alive`, or nothing where the version says it. */
  connection: string;
  date: string;
}

export function answerText(head: ResponseHead, { body, connection, date }: AnswerOptions): string {
  const server = head.hasServer ? "" : "Server: bramble\r\n";
  const dated = head.hasDate ? "" : `Date: ${date}\r\n`;
  const last = connection === "" ? "" : `Connection: ${connection}\r\n`;
  const framing = answerFraming(head, body);
  return `HTTP/1.1 ${head.statusText}\r\n${head.passed}${framing}${server}${dated}${last}\r\n`;
}

/** RFC 9110 7.8. */
export const tunnelText = ({ statusText, passed }: ResponseHead, upgrade: string): string =>
  `HTTP/1.1 ${statusText}\r\n${passed}Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`;

export function withHead(text: string, part: Buffer): Buffer {
  const joined = Buffer.allocUnsafe(text.length + part.length);
  joined.write(text, "latin1");
  part.copy(joined, text.length);
  return joined;
}
