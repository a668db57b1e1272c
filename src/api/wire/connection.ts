/**
 * One client's connection: requests one after the other, or a WebSocket. It reads no further than
 * it has to: what a client sends before its answer is bounded.
 */
import type { RequestEnv, UserInfo } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { respondStatus } from "#api/respond.ts";
import { type Head, HeadReader } from "#api/wire/head.ts";
import type { CertificateUser } from "#api/wire/identity.ts";
import { type BodySource, IncomingBody } from "#api/wire/incoming.ts";
import { RawSide, switchText } from "#api/wire/raw.ts";
import { refusalOf } from "#api/wire/refusal.ts";
import { reply, replyWhole } from "#api/wire/reply.ts";
import { originOf, urlOf, WireRequest } from "#api/wire/request.ts";
import { acceptText, type SocketControl, WebSocketSide } from "#api/wire/websocket.ts";
import type { Writer } from "#api/wire/writer.ts";
import type { Channel } from "#base/channel.ts";
import { HeadError } from "#base/httphead.ts";
import { Intake } from "#base/intake.ts";
import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";

export interface Shared {
  readonly fetch: (request: Request, env: RequestEnv) => Promise<Response>;
  /** Milliseconds of now, for the bounds of time and the date of answers. */
  readonly now: () => number;
  readonly scheme: "http" | "https";
  readonly bodyBytesMax: number;
  /** Answers what fetch should never let through. */
  failed(error: unknown): Response;
}

class WireEnv implements RequestEnv {
  readonly certificateUser: UserInfo | undefined;
  readonly certificateKey: string | undefined;
  readonly #connection: Connection;
  readonly #request: WireRequest;

  constructor(connection: Connection, request: WireRequest) {
    this.certificateUser = connection.userNow();
    this.certificateKey = connection.certificate?.key;
    this.#connection = connection;
    this.#request = request;
  }

  get remoteAddress(): string | undefined {
    return this.#connection.remoteAddress;
  }

  upgrade(protocol: string | undefined): Channel | undefined {
    return this.#connection.upgrade(this.#request, protocol);
  }

  switchTo(protocol: string, more: Readonly<Record<string, string>>): Channel | undefined {
    return this.#connection.switchTo(this.#request, protocol, more);
  }
}

const HEAD_END = "\r\n\r\n";
const NO_HEADERS = new Headers();
const NOT_READ = refuse.badRequest("the body was not read");
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";

let dateSecond = 0;
let dateText = "";

/** The date of answers, made once a second. */
function dateOf(nowMs: number): string {
  const second = Math.floor(nowMs / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(nowMs).toUTCString();
  }
  return dateText;
}

export interface ConnectionParts {
  readonly shared: Shared;
  readonly writer: Writer;
  readonly pause: () => void;
  readonly resume: () => void;
  readonly remoteAddress: string;
}

export class Connection {
  readonly remoteAddress: string;
  /** Whom the client's certificate names, once the handshake told. */
  certificate: CertificateUser | undefined;
  readonly #parts: ConnectionParts;
  readonly #input = new Intake();
  /** Bytes that have been searched for the end of a head, and pieces that they came in. */
  #searched = 0;
  #pieces = 0;
  readonly #heads = new HeadReader();
  #head: Head | undefined;
  /** What the headers of the last request came to. */
  #said: { record: Head["headers"]; host: string; headers: Headers; origin: string } | undefined;
  #body: IncomingBody | undefined;
  readonly #bodySource: BodySource;
  #request: WireRequest | undefined;
  #socket: WebSocketSide | RawSide | undefined;
  #paused = false;
  /** The last answer is on its way; what still comes in is nobody's. */
  #leaving = false;
  #drained = 0;
  /** Requests that were there before the one before them was answered. */
  #row = 0;
  /** Since when a request has been coming in; undefined between requests. */
  #sinceMs: number | undefined;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.remoteAddress = parts.remoteAddress;
    // A client that says nothing at all has no longer time than one that is slow.
    this.#sinceMs = parts.shared.now();
    this.#bodySource = { input: this.#input, wanted: (first) => this.#bodyWanted(first) };
  }

  /** A certificate may end while its connection lives. */
  userNow(): UserInfo | undefined {
    const { certificate } = this;
    if (certificate === undefined) return undefined;
    return this.#parts.shared.now() < certificate.notAfterMs ? certificate.user : undefined;
  }

  /** Whether an answer is under way. */
  get busy(): boolean {
    return this.underWay !== undefined;
  }

  /** What is being answered: the same as before as long as it lasts. */
  get underWay(): object | undefined {
    return this.#request ?? this.#socket;
  }

  /** Ends what has taken too long to ask. */
  checkTime(nowMs: number): void {
    if (this.#sinceMs === undefined) return;
    const inBody = this.#body?.isWanted === true;
    if (this.busy && !inBody) return;
    const max = inBody ? limits.requestBodyMsMax : limits.requestHeadMsMax;
    if (nowMs - this.#sinceMs > max) this.#parts.writer.destroy();
  }

  /** Bytes of the client. */
  receive(bytes: Buffer): void {
    if (this.#socket !== undefined) {
      this.#socket.receive(bytes);
      return;
    }
    if (this.#leaving) {
      this.#drain(bytes.length);
      return;
    }
    this.#input.append(bytes);
    if (this.#request === undefined) this.#advance();
    else if (this.#body?.isWanted === true) this.#body.receive();
    else this.#pauseIfFull();
  }

  /** Bytes after the last answer. */
  #drain(size: number): void {
    this.#drained += size;
    if (this.#paused || this.#drained <= limits.unreadBodyBytesMax) return;
    this.#paused = true;
    this.#parts.pause();
  }

  #pauseIfFull(): void {
    if (this.#paused || this.#input.length <= limits.requestHeadBytesMax) return;
    this.#paused = true;
    this.#parts.pause();
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#parts.resume();
  }

  closed(): void {
    this.#body?.fail(refuse.badRequest("the client went away"));
    this.#request?.clientGone();
    this.#input.clear();
  }

  /** Reads as far as the input reaches; an answer under way stops it. */
  #advance(): void {
    try {
      const head = this.#readHead();
      if (head !== undefined) void this.#answer(head);
    } catch (error) {
      this.#refuse(error);
    }
  }

  /** The next head, once it is there. @throws HeadError */
  #readHead(): Head | undefined {
    const input = this.#input;
    // Some clients end a body with a line end too much (RFC 9112, 2.2).
    while (input.length >= 2 && input.bytes[0] === 13 && input.bytes[1] === 10) input.skip(2);
    if (input.length === 0) return undefined;
    this.#sinceMs ??= this.#parts.shared.now();
    const end = input.bytes.indexOf(HEAD_END, this.#searched);
    const length = end < 0 ? input.length : end;
    if (length > limits.requestHeadBytesMax) throw new HeadError(431, "the header is too large");
    if (end < 0) {
      this.#searched = Math.max(input.length - HEAD_END.length, 0);
      this.#pieces += 1;
      if (this.#pieces <= limits.requestHeadPiecesMax) return undefined;
      throw new HeadError(431, `the header came in more than ${this.#pieces - 1} pieces`);
    }
    const text = input.bytes.toString("latin1", 0, end);
    input.skip(end + HEAD_END.length);
    this.#searched = 0;
    this.#pieces = 0;
    return this.#heads.read(text);
  }

  /** @throws HeadError 413 */
  #bodyOf({ body, expectsContinue }: Head): IncomingBody | undefined {
    if (body === 0) return undefined;
    const { bodyBytesMax } = this.#parts.shared;
    return new IncomingBody(body, bodyBytesMax, expectsContinue, this.#bodySource);
  }

  #bodyWanted(first: boolean): void {
    this.#sinceMs = this.#parts.shared.now();
    if (first && this.#input.length === 0) this.#parts.writer.write(CONTINUE);
    this.#resume();
  }

  /** @throws HeadError */
  #requestOf(head: Head, body: IncomingBody | undefined): WireRequest {
    const { method, headers, host, target } = head;
    // Clients say the same again and again: the reader gives the same object then.
    if (this.#said?.record !== headers || this.#said.host !== host) {
      const origin = originOf(this.#parts.shared.scheme, host);
      this.#said = { record: headers, host, headers: new Headers(headers), origin };
    }
    const { origin, headers: made } = this.#said;
    return new WireRequest({ method, url: urlOf(origin, target), headers: made, body });
  }

  async #answer(head: Head): Promise<void> {
    const { shared, writer } = this.#parts;
    this.#head = head;
    this.#sinceMs = undefined;
    let request: WireRequest;
    try {
      this.#body = this.#bodyOf(head);
      request = this.#requestOf(head, this.#body);
    } catch (error) {
      this.#refuse(error instanceof HeadError ? error : new HeadError(400, "malformed request"));
      return;
    }
    this.#request = request;
    const env = new WireEnv(this, request);
    let response: Response;
    try {
      response = await shared.fetch(request.asRequest, env);
    } catch (error) {
      response = shared.failed(error);
    }
    if (this.#socket !== undefined || writer.closed) return;
    const options = {
      head: head.method === "HEAD",
      keepAlive: head.keepAlive && this.#body?.answered(NOT_READ) !== false,
      chunks: head.version === "HTTP/1.1",
      date: dateOf(shared.now()),
    };
    if (!replyWhole(writer, response, options)) await reply(writer, response, options);
    // Answers that the client does not read are not added to.
    if (!writer.ready) await writer.drained();
    await this.#next(options.keepAlive);
  }

  async #next(keepAlive: boolean): Promise<void> {
    if (!keepAlive || (this.#body !== undefined && !(await this.#body.skip()))) {
      this.#leave();
      return;
    }
    if (this.#input.length > 0) await this.#rowTurn();
    this.#request = undefined;
    this.#head = undefined;
    this.#body = undefined;
    this.#sinceMs = undefined;
    this.#resume();
    if (this.#input.length > 0) this.#advance();
  }

  /** Requests that came at once do not keep others waiting. */
  async #rowTurn(): Promise<void> {
    this.#row += 1;
    if (this.#row % limits.requestsPerTurnMax === 0) await nextTurn();
  }

  /**
   * Ends the connection. Where the client still sends, its system would discard the answer at once:
   * it has a moment to read it.
   */
  #leave(): void {
    const { writer } = this.#parts;
    this.#leaving = true;
    const sends = this.#input.length > 0 || (this.#head !== undefined && this.#head.body !== 0);
    this.#input.clear();
    if (sends) setTimeout(() => writer.end(), limits.connectionLingerMs).unref();
    else writer.end();
  }

  /** Where the next request begins is not known after a fault: the connection ends. */
  #refuse(error: unknown): void {
    const { writer, shared } = this.#parts;
    const fault = error instanceof HeadError ? error : undefined;
    const response =
      fault === undefined ? shared.failed(error) : respondStatus(refusalOf(fault).status);
    const refused = { method: "GET", url: "http://refused/", headers: NO_HEADERS, body: undefined };
    this.#request = new WireRequest(refused);
    const date = dateOf(shared.now());
    void reply(writer, response, { head: false, keepAlive: false, chunks: true, date }).then(() =>
      this.#leave(),
    );
  }

  /** Takes the connection over; undefined where the client did not ask for that. */
  upgrade(request: WireRequest, protocol: string | undefined): Channel | undefined {
    const text = acceptText(request.headers, protocol);
    return this.#handOver(request, text, (control) => new WebSocketSide(control, protocol));
  }

  /** The same for another protocol than WebSocket, on bare bytes. */
  switchTo(
    request: WireRequest,
    protocol: string,
    more: Readonly<Record<string, string>>,
  ): Channel | undefined {
    const text = switchText(request.headers, protocol, more);
    return this.#handOver(request, text, (control) => new RawSide(control));
  }

  #handOver(
    request: WireRequest,
    text: string | undefined,
    make: (control: SocketControl) => WebSocketSide | RawSide,
  ): Channel | undefined {
    const { writer, pause, resume } = this.#parts;
    if (request !== this.#request || writer.closed || text === undefined) return undefined;
    // Its rest would be taken for the other protocol.
    if (this.#body?.isOver === false) return undefined;
    writer.write(text);
    this.#socket = make({ writer, pause, resume });
    const rest = this.#input.bytes;
    this.#input.clear();
    if (this.#paused) resume();
    if (rest.length > 0) this.#socket.receive(rest);
    return this.#socket.channel;
  }
}
