/**
 * One request and its answer, between a client's connection and an endpoint's: bytes pass as they
 * come, and the faster side waits for the slower one.
 */
import { Attempts } from "#agents/ingress/attempts.ts";
import { type Asked, markLame } from "#agents/ingress/balancer.ts";
import type { Body } from "#agents/ingress/body.ts";
import type { ClientSide } from "#agents/ingress/clientside.ts";
import {
  answerBody,
  answerText,
  bodyOf,
  IDEMPOTENT,
  mayReuse,
  requestText,
  tunnelText,
  withHead,
} from "#agents/ingress/forward.ts";
import { parseResponse, type RequestHead, type ResponseHead } from "#agents/ingress/head.ts";
import { afterPackets } from "#agents/ingress/patience.ts";
import type { Backend, Route } from "#agents/ingress/plan.ts";
import { Replay } from "#agents/ingress/replay.ts";
import type { Exchanges, Served } from "#agents/ingress/serving.ts";
import { reach, type Upstream, type UpstreamUser } from "#agents/ingress/upstream.ts";
import type { Cancel } from "#base/clock.ts";
import { HeadError } from "#base/httphead.ts";
import { limits } from "#base/limits.ts";

const END = Buffer.from("\r\n\r\n");
/** Heads go out together with a body of up to this. */
const JOIN_BYTES_MAX = 16 * 1024;

const codeOf = (error: NodeJS.ErrnoException | undefined): string => error?.code ?? "closed";

export interface PassedRequest {
  head: RequestHead;
  route: Route;
  backend: Backend;
}

export class Exchange implements UpstreamUser, Asked {
  readonly #client: ClientSide;
  readonly #head: RequestHead;
  readonly #route: Route;
  readonly backend: Backend;
  readonly #all: Exchanges;
  readonly #request: Body;
  readonly #startedMs: number;
  readonly #attempts: Attempts;
  #cancelConnect: Cancel | undefined;
  #upstream: Upstream | undefined;
  #isSent = false;
  readonly #replay = new Replay();
  /** The begin of an answer's head. */
  #held: Buffer | undefined;
  #answer: Body | undefined;
  #status = 0;
  hasAnswered = false;
  /** It has no end that could be waited for. */
  isTunnel = false;
  #canReuse = false;
  #canGoOn = false;
  #isOver = false;
  #endpoint = "";
  #problem: string | undefined;

  constructor(client: ClientSide, request: PassedRequest, all: Exchanges) {
    this.#client = client;
    this.#head = request.head;
    this.#route = request.route;
    this.backend = request.backend;
    this.#all = all;
    this.#request = bodyOf(request.head);
    this.#startedMs = all.clock.monotonic();
    this.#attempts = new Attempts(all, request.backend, client.address);
  }

  /** Unless the client has gone meanwhile. */
  begin(): void {
    if (!this.#isOver) this.#attempt();
  }

  /** At first, and again at another endpoint. */
  #attempt(): void {
    const attempts = this.#attempts;
    const { clock } = this.#all;
    const state = attempts.next();
    if (state === undefined) {
      if (attempts.count === 0) this.#refuse(503, "no endpoint is ready");
      else this.#refuse(502, "no endpoint answers", attempts.story);
      return;
    }
    // After a failure only a new connection tells whether the endpoint is well.
    const isFirst = attempts.count === 1;
    if (!isFirst) this.#all.metrics.retries++;
    state.pending++;
    state.asked.add(this);
    this.#endpoint = state.name;
    const isSafe = IDEMPOTENT.has(this.#head.method);
    const oldMsMax = isSafe ? limits.ingressSpareMsMax : limits.ingressSpareUnsafeMsMax;
    const spareMsMax = isFirst ? oldMsMax : -1;
    this.#upstream = reach(state, this, { nowMs: attempts.atMs, spareMsMax });
    if (this.#upstream.isOpen) this.#send(this.#upstream);
    else this.#cancelConnect = afterPackets(clock, attempts.connectMsMax, () => this.#unreached());
  }

  connected(): void {
    this.#cancelConnect?.();
    if (this.#upstream !== undefined) this.#send(this.#upstream);
  }

  #send(upstream: Upstream): void {
    this.#isSent = true;
    this.#attempts.sent();
    let takesMore = upstream.writeHead(requestText(this.#head, this.#client));
    for (const chunk of this.#replay.chunks) takesMore = upstream.write(chunk);
    this.#replay.sent();
    if (takesMore) this.#client.resume();
  }

  /** Bytes of the client. Answers how many were this request's. Throws HeadError. */
  take(chunk: Buffer): number {
    if (this.isTunnel) {
      this.#toUpstream(chunk);
      return chunk.length;
    }
    const taken = this.#request.take(chunk);
    if (taken === 0) return 0;
    if (this.#request.bytes > (this.#route.bodyBytesMax ?? Number.POSITIVE_INFINITY)) {
      throw new HeadError(413, "body too large");
    }
    const part = this.#request.passed(chunk, taken);
    if (this.#isSent) this.#toUpstream(part);
    // Nothing more is read until somebody takes it.
    else this.#client.pause();
    this.#replay.keep(part);
    if (this.#isSent) this.#replay.sent();
    return taken;
  }

  #toUpstream(part: Buffer): void {
    if (this.#upstream?.write(part) === false) this.#client.pause();
  }

  drained(): void {
    this.#client.resume();
  }

  /** The client takes more again. */
  clientDrained(): void {
    this.#upstream?.resume();
  }

  received(chunk: Buffer): void {
    try {
      if (this.isTunnel) this.#toClient(chunk);
      else if (this.#answer !== undefined) this.#pass(this.#answer, chunk);
      else this.#receiveHead(chunk);
    } catch (error) {
      if (!(error instanceof HeadError)) throw error;
      this.#broken(502, error.message);
    }
  }

  #toClient(part: Buffer): void {
    if (part.length > 0 && !this.#client.write(part)) this.#upstream?.pause();
  }

  #pass(body: Body, chunk: Buffer): void {
    const taken = body.take(chunk);
    this.#toClient(body.passed(chunk, taken));
    if (taken < chunk.length) this.#canReuse = false;
    if (body.done) this.#complete();
  }

  #receiveHead(chunk: Buffer): void {
    let bytes = this.#held === undefined ? chunk : Buffer.concat([this.#held, chunk]);
    this.#held = undefined;
    for (;;) {
      const end = bytes.indexOf(END);
      if (end < 0) {
        if (bytes.length > limits.ingressHeadBytesMax) throw new HeadError(502, "long head");
        this.#held = bytes;
        return;
      }
      const head = parseResponse(bytes.toString("latin1", 0, end));
      bytes = bytes.subarray(end + END.length);
      if (head.status >= 200 || head.status === 101) {
        if (head.status === 101) this.#becomeTunnel(head, bytes);
        else this.#begin(head, bytes);
        return;
      }
      // Such as 100 Continue: the real answer is still to come.
      this.hasAnswered = true;
      this.#replay.end();
      if (this.#head.minor === 1) {
        this.#client.writeHead(`HTTP/1.1 ${head.statusText}\r\n${head.passed}\r\n`);
      }
      if (bytes.length === 0) return;
    }
  }

  #begin(head: ResponseHead, rest: Buffer): void {
    if (head.chunked && this.#head.minor === 0) throw new HeadError(502, "chunked for HTTP/1.0");
    const body = answerBody(this.#head.method, head);
    this.#answer = body;
    this.#canReuse = mayReuse({ head: this.#head, body: this.#request }, { head, body });
    this.#canGoOn = this.#head.keepAlive && body.end !== "close" && !this.#client.isLast;
    const connection = this.#canGoOn ? (this.#head.minor === 0 ? "keep-alive" : "") : "close";
    const text = answerText(head, { body, connection, date: this.#all.date() });
    const taken = body.take(rest);
    if (taken < rest.length) this.#canReuse = false;
    this.#started(head.status);
    const part = body.passed(rest, taken);
    if (taken <= JOIN_BYTES_MAX) {
      this.#toClient(withHead(text, part));
    } else {
      this.#client.writeHead(text);
      this.#toClient(part);
    }
    if (body.done) this.#complete();
  }

  #becomeTunnel(head: ResponseHead, rest: Buffer): void {
    const { upgrade } = this.#head;
    if (upgrade === undefined || head.upgrade?.toLowerCase() !== upgrade.toLowerCase()) {
      throw new HeadError(502, "101 that nobody asked for");
    }
    this.isTunnel = true;
    this.#started(101);
    this.#client.writeHead(tunnelText(head, upgrade));
    this.#toClient(rest);
  }

  #started(status: number): void {
    this.#status = status;
    this.hasAnswered = true;
    this.#replay.end();
  }

  #complete(): void {
    const upstream = this.#upstream;
    const isWhole = this.#request.done;
    this.#letGo();
    if (this.#canReuse && isWhole) upstream?.keep(this.#all.clock.monotonic());
    else upstream?.close();
    this.#over();
    this.#client.finished(this.#canGoOn && isWhole);
  }

  #letGo(): void {
    this.#cancelConnect?.();
    if (this.#upstream !== undefined) {
      const { state } = this.#upstream;
      state.pending--;
      state.asked.delete(this);
    }
    this.#upstream = undefined;
  }

  ended(error?: Error): void {
    const upstream = this.#upstream;
    this.#letGo();
    if (upstream === undefined || this.#isOver) return;
    if (this.isTunnel || (this.#answer?.end === "close" && error === undefined)) {
      this.#over();
      this.#client.finished(false);
      return;
    }
    this.#failed(upstream, error, "the endpoint broke off");
  }

  /** Where nothing may be heard of its end. An answer that has begun may come to its own. */
  endpointLeft(): void {
    const upstream = this.#upstream;
    if (upstream !== undefined && this.#mayLeave(upstream)) this.#leave(upstream);
  }

  #mayLeave(upstream: Upstream): boolean {
    if (this.hasAnswered || this.#held !== undefined) return false;
    return this.#mayRepeat(upstream) && this.#attempts.hasOther(upstream.state);
  }

  #leave(upstream: Upstream): void {
    this.#letGo();
    upstream.close();
    this.#attempts.failed(upstream.state, "is gone");
    this.#repeat();
  }

  /** Its first packet was lost, as an overloaded server loses it: another one is sooner. */
  #unreached(): void {
    const upstream = this.#upstream;
    if (upstream === undefined || upstream.isOpen) return;
    this.#letGo();
    upstream.close();
    markLame(upstream.state, this.#all.clock.monotonic());
    this.#attempts.late(upstream.state);
    this.#repeat();
  }

  /** Nothing can happen twice. */
  #mayRepeat({ isOpen }: Upstream): boolean {
    return !isOpen || (this.#replay.isWhole && IDEMPOTENT.has(this.#head.method));
  }

  /** Another endpoint, as long as the client has seen nothing and nothing can happen twice. */
  #failed(upstream: Upstream, error: Error | undefined, reason: string): void {
    const { state, isOpen, wasUsed } = upstream;
    if (!isOpen) markLame(state, this.#all.clock.monotonic());
    if (this.hasAnswered) {
      this.#broken(502, reason);
    } else if (this.#mayRepeat(upstream)) {
      const why = isOpen ? "broke off" : `took no connection: ${codeOf(error)}`;
      // One that closed an old connection is well: it only was too early.
      if (!wasUsed) this.#attempts.failed(state, why);
      this.#repeat();
    } else {
      this.#refuse(502, reason);
    }
  }

  #repeat(): void {
    this.#held = undefined;
    this.#isSent = false;
    this.#attempt();
  }

  #broken(status: number, reason: string): void {
    const upstream = this.#upstream;
    this.#letGo();
    upstream?.close();
    if (this.#isOver) return;
    if (this.hasAnswered) {
      this.#problem = reason;
      this.#over();
      this.#client.cut();
    } else {
      this.#refuse(status, reason);
    }
  }

  /** The story is for the log alone. */
  #refuse(status: number, reason: string, story?: string): void {
    this.#status = status;
    this.#problem = story === undefined ? reason : `${reason}: ${story}`;
    this.#over();
    this.#client.refuse(status, reason);
  }

  /** The client went away, or sent what cannot be understood (`status`). */
  abort(status: number): void {
    const upstream = this.#upstream;
    this.#letGo();
    upstream?.close();
    if (this.#status === 0) this.#status = status;
    this.#over();
  }

  /** Looked at every second or so. */
  tick(nowMs: number): void {
    const upstream = this.#upstream;
    if (upstream === undefined || this.hasAnswered) return;
    const waitedMs = nowMs - this.#attempts.atMs;
    if (waitedMs > limits.ingressAnswerMsMax) this.#broken(504, "the endpoint does not answer");
    else if (upstream.isOpen && waitedMs > limits.ingressDoubtMs) this.#doubt(upstream);
  }

  /** A machine without power ends no connection: it is not waited for where there is another. */
  #doubt(upstream: Upstream): void {
    if (!this.#mayLeave(upstream)) return;
    void this.#all.lifeSigns.of(upstream.state).then((isThere) => {
      if (isThere || upstream !== this.#upstream) return;
      if (this.#mayLeave(upstream)) this.#leave(upstream);
    });
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const { method, host, target } = this.#head;
    const served: Served = {
      client: this.#client.address,
      isSecure: this.#client.isSecure,
      method,
      host,
      target,
      status: this.#status,
      requestBytes: this.#request.bytes,
      answerBytes: this.#answer?.bytes ?? 0,
      durationMs: this.#all.clock.monotonic() - this.#startedMs,
      ingress: this.#route.ingress,
      backend: this.backend.name,
      endpoint: this.#endpoint,
      attempts: this.#attempts.count,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    };
    this.#all.served(served);
  }
}
