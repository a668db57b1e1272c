/** One connection of a client: request after request, each with an exchange of its own. */
import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { ClientSide } from "#agents/ingress/clientside.ts";
import { Exchange } from "#agents/ingress/exchange.ts";
import { parseRequest, type RequestHead } from "#agents/ingress/head.ts";
import { match, pathOf } from "#agents/ingress/match.ts";
import type { Backend, Route } from "#agents/ingress/plan.ts";
import type { Serving } from "#agents/ingress/serving.ts";
import { HeadError } from "#base/httphead.ts";
import { limits } from "#base/limits.ts";

const END = Buffer.from("\r\n\r\n");
/** Where no Ingress is concerned. */
const NOBODY = "";
/** Hidden from the endpoints and from the client's address: IPv4 in IPv6's form. */
const MAPPED = "::ffff:";

export class Connection implements ClientSide {
  readonly address: string;
  readonly isSecure: boolean;
  readonly port: number;
  readonly #socket: Socket;
  readonly #serving: Serving;
  #exchange: Exchange | undefined;
  /** Bytes of which nobody has made a request yet. */
  #waiting: Buffer | undefined;
  /** Since when it waits for a head, or for the end of one. */
  #sinceMs: number;
  /** The last answer is on its way; what still comes is read away until then. */
  #lingerUntilMs = 0;
  #isReading = false;

  constructor(socket: Socket, isSecure: boolean, serving: Serving) {
    this.#socket = socket;
    this.isSecure = isSecure;
    this.#serving = serving;
    const address = socket.remoteAddress ?? "";
    this.address = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
    this.port = socket.localPort ?? 0;
    this.#sinceMs = serving.clock.monotonic();
    socket.on("data", (chunk: Buffer) => this.#data(chunk));
    socket.on("drain", () => this.#exchange?.clientDrained());
    // A reset tells nothing that the end does not.
    socket.on("error", () => socket.destroy());
    socket.on("end", () => this.#gone());
    socket.on("close", () => this.#gone());
    serving.opened(this);
  }

  get isLast(): boolean {
    return this.#serving.isStopping;
  }

  #data(chunk: Buffer): void {
    if (this.#lingerUntilMs > 0) return;
    try {
      let rest = chunk;
      if (this.#exchange !== undefined) {
        const taken = this.#exchange.take(chunk);
        if (taken === chunk.length) return;
        rest = chunk.subarray(taken);
      } else if (this.#waiting === undefined) {
        this.#sinceMs = this.#serving.clock.monotonic();
      }
      this.#waiting = this.#waiting === undefined ? rest : Buffer.concat([this.#waiting, rest]);
      if (this.#exchange === undefined) this.#next();
      // The next request has to wait for the answer to this one.
      else this.pause();
    } catch (error) {
      this.#mistaken(error);
    }
  }

  #mistaken(error: unknown): void {
    if (!(error instanceof HeadError)) throw error;
    const exchange = this.#exchange;
    exchange?.abort(error.status);
    if (exchange?.hasAnswered === true) this.cut();
    else this.refuse(error.status, error.message);
  }

  /** Requests that are there in full, one after the other; an answer may be given at once. */
  #next(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (this.#exchange === undefined && this.#waiting !== undefined) {
        if (!this.#read(this.#waiting)) return;
      }
    } finally {
      this.#isReading = false;
    }
  }

  /** False: more must come first. */
  #read(bytes: Buffer): boolean {
    const end = bytes.indexOf(END);
    if (
      end > limits.ingressHeadBytesMax ||
      (end < 0 && bytes.length > limits.ingressHeadBytesMax)
    ) {
      throw new HeadError(431, "request head too large");
    }
    if (end < 0) return false;
    // Empty lines before a request are to be ignored (RFC 9112 2.2).
    const text = bytes.toString("latin1", bytes[0] === 13 && bytes[1] === 10 ? 2 : 0, end);
    const head = parseRequest(text);
    const rest = bytes.subarray(end + END.length);
    this.#waiting = rest.length > 0 ? rest : undefined;
    this.#serve(head);
    return this.#lingerUntilMs === 0;
  }

  #serve(head: RequestHead): void {
    const route = match(this.#serving.table, head.host, pathOf(head.target));
    if (route === undefined) {
      this.#local(head, NOBODY, 404, "no Ingress has this host and path");
    } else if (route.redirect && !this.isSecure) {
      this.#redirect(head, route);
    } else if (route.backend === undefined) {
      this.#local(head, route.ingress, 503, "the Service is not there");
    } else {
      this.#pass(head, route, route.backend);
    }
  }

  #pass(head: RequestHead, route: Route, backend: Backend): void {
    const exchange = new Exchange(this, { head, route, backend }, this.#serving);
    this.#exchange = exchange;
    if ((head.length ?? 0) > (route.bodyBytesMax ?? Number.POSITIVE_INFINITY)) {
      throw new HeadError(413, "body too large");
    }
    this.#serving.turns.begin(() => exchange.begin());
    const waiting = this.#waiting;
    if (waiting === undefined || this.#exchange !== exchange) return;
    const taken = exchange.take(waiting);
    this.#waiting = taken < waiting.length ? waiting.subarray(taken) : undefined;
    if (this.#waiting !== undefined) this.pause();
  }

  #redirect(head: RequestHead, { ingress }: Route): void {
    const { securePort } = this.#serving;
    const name = head.authority.replace(/:\d*$/, "");
    const host = securePort === 443 ? name : `${name}:${securePort}`;
    // 308 keeps the method and the body.
    const location = `Location: https://${host}${head.target}\r\n`;
    this.#local(head, ingress, 308, "this is served by HTTPS", location);
  }

  /** An answer that needs no endpoint. */
  #local(head: RequestHead, ingress: string, status: number, why: string, more = ""): void {
    const { host, method, target } = head;
    this.#serving.served({
      client: this.address,
      isSecure: this.isSecure,
      method,
      host,
      target,
      status,
      requestBytes: 0,
      answerBytes: 0,
      durationMs: 0,
      ingress,
      backend: "",
      endpoint: "",
      attempts: 0,
      problem: why,
    });
    const hasBody = head.chunked || (head.length ?? 0) > 0;
    const canGoOn = head.keepAlive && head.minor === 1 && !hasBody && !this.isLast;
    const body = method === "HEAD" ? undefined : why;
    this.#answer(status, { why: body, more, isLast: !canGoOn, length: why.length + 1 });
    this.#sinceMs = this.#serving.clock.monotonic();
  }

  #answer(
    status: number,
    options: { why: string | undefined; more?: string; isLast: boolean; length: number },
  ): void {
    const { why, more = "", isLast, length } = options;
    const text =
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\nServer: bramble\r\n` +
      `Date: ${this.#serving.date()}\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${length}\r\n${more}${isLast ? "Connection: close\r\n" : ""}\r\n` +
      (why === undefined ? "" : `${why}\n`);
    this.writeHead(text);
    if (isLast) this.#leave();
  }

  /** The last answer is written; resetting the connection now could take it back. */
  #leave(): void {
    this.#exchange = undefined;
    this.#waiting = undefined;
    this.#lingerUntilMs = this.#serving.clock.monotonic() + limits.ingressLingerMsMax;
    this.#socket.end();
    this.#socket.resume();
  }

  write(bytes: Uint8Array): boolean {
    return this.#socket.write(bytes);
  }

  writeHead(text: string): boolean {
    return this.#socket.write(text, "latin1");
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    if (this.#waiting === undefined) this.#socket.resume();
  }

  finished(canGoOn: boolean): void {
    if (canGoOn) this.#goOn();
    else this.#leave();
  }

  #goOn(): void {
    this.#exchange = undefined;
    this.#sinceMs = this.#serving.clock.monotonic();
    this.#socket.resume();
    if (this.#waiting === undefined) return;
    try {
      this.#next();
    } catch (error) {
      this.#mistaken(error);
    }
  }

  refuse(status: number, why: string): void {
    this.#answer(status, { why, isLast: true, length: why.length + 1 });
  }

  cut(): void {
    this.#socket.destroy();
  }

  #gone(): void {
    this.#exchange?.abort(499);
    this.#exchange = undefined;
    this.#waiting = undefined;
    this.#socket.destroy();
    this.#serving.closed(this);
  }

  /** A request under way may end. */
  stop(): void {
    if (this.#exchange?.isTunnel === true) this.cut();
    else if (this.#exchange === undefined && this.#lingerUntilMs === 0) this.#socket.end();
  }

  /** Looked at every second or so. */
  tick(nowMs: number): void {
    if (this.#lingerUntilMs > 0) {
      if (nowMs > this.#lingerUntilMs && this.#socket.writableLength === 0) this.cut();
    } else if (this.#exchange !== undefined) {
      this.#exchange.tick(nowMs);
    } else if (this.#waiting !== undefined) {
      if (nowMs - this.#sinceMs > limits.ingressHeadMsMax) this.refuse(408, "the request is slow");
    } else if (nowMs - this.#sinceMs > limits.ingressIdleMsMax) {
      this.#socket.end();
    }
  }
}
