/**
 * One client's connection: requests one after the other, or a WebSocket. It reads no further than
 * it has to: what a client sends before its answer is bounded.
 */
import type { RequestEnv, UserInfo } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { respondStatus } from "#api/respond.ts";
import { BodyReader } from "#api/wire/body.ts";
import { type Head, HeadReader } from "#api/wire/head.ts";
import type { CertificateUser } from "#api/wire/identity.ts";
import { RawSide, switchText } from "#api/wire/raw.ts";
import { reply, replyWhole } from "#api/wire/reply.ts";
import { originOf, urlOf, WireRequest } from "#api/wire/request.ts";
import { acceptText, type SocketControl, WebSocketSide } from "#api/wire/websocket.ts";
import type { Writer } from "#api/wire/writer.ts";
import type { Channel } from "#base/channel.ts";
import { HeadError } from "#base/httphead.ts";
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

const EMPTY = Buffer.alloc(0);
const NO_HEADERS = new Headers();
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
  #input: Buffer = EMPTY;
  readonly #heads = new HeadReader();
  #head: Head | undefined;
  /** What the headers of the last request came to. */
  #said: { record: Head["headers"]; host: string; headers: Headers; origin: string } | undefined;
  #body: BodyReader | undefined;
  #request: WireRequest | undefined;
  #socket: WebSocketSide | RawSide | undefined;
  #paused = false;
  /** Requests that were there before the one before them was answered. */
  #row = 0;
  /** Since when a request has been coming in; undefined between requests. */
  #sinceMs: number | undefined;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.remoteAddress = parts.remoteAddress;
    // A client that says nothing at all has no longer time than one that is slow.
    this.#sinceMs = parts.shared.now();
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
    if (this.#sinceMs === undefined || this.busy) return;
    const max = this.#head === undefined ? limits.requestHeadMsMax : limits.requestBodyMsMax;
    if (nowMs - this.#sinceMs > max) this.#parts.writer.destroy();
  }

  /** Bytes of the client. */
  receive(bytes: Buffer): void {
    if (this.#socket !== undefined) {
      this.#socket.receive(bytes);
      return;
    }
    this.#input = this.#input.length === 0 ? bytes : Buffer.concat([this.#input, bytes]);
    if (this.#request === undefined) this.#advance();
    else if (!this.#paused && this.#input.length > limits.requestHeadBytesMax) {
      this.#paused = true;
      this.#parts.pause();
    }
  }

  closed(): void {
    this.#request?.clientGone();
    this.#input = EMPTY;
  }

  /** Reads as far as the input reaches; an answer under way stops it. */
  #advance(): void {
    try {
      if (this.#head === undefined) this.#readHead();
      if (this.#head === undefined) return;
      const body = this.#readBody(this.#head);
      if (body !== undefined) void this.#answer(this.#head, body);
    } catch (error) {
      this.#refuse(error);
    }
  }

  #readHead(): void {
    // Some clients end a body with a line end too much (RFC 9112, 2.2).
    while (this.#input.length >= 2 && this.#input[0] === 13 && this.#input[1] === 10) {
      this.#input = this.#input.subarray(2);
    }
    if (this.#input.length === 0) return;
    this.#sinceMs ??= this.#parts.shared.now();
    const end = this.#input.indexOf("\r\n\r\n");
    const length = end < 0 ? this.#input.length : end;
    if (length > limits.requestHeadBytesMax) throw new HeadError(431, "the header is too large");
    if (end < 0) return;
    const text = this.#input.toString("latin1", 0, end);
    this.#input = this.#input.subarray(end + 4);
    this.#head = this.#heads.read(text);
  }

  /** The whole body, once it is there. */
  #readBody(head: Head): Buffer | undefined {
    if (head.body === 0) return EMPTY;
    if (this.#body === undefined) {
      this.#body = new BodyReader(head.body, this.#parts.shared.bodyBytesMax);
      if (head.expectsContinue && this.#input.length === 0) this.#parts.writer.write(CONTINUE);
    }
    this.#input = this.#body.take(this.#input);
    return this.#body.done ? this.#body.bytes() : undefined;
  }

  /** @throws HeadError */
  #requestOf(head: Head, body: Buffer): WireRequest {
    const { method, headers, host, target } = head;
    // Clients say the same again and again: the reader gives the same object then.
    if (this.#said?.record !== headers || this.#said.host !== host) {
      const origin = originOf(this.#parts.shared.scheme, host);
      this.#said = { record: headers, host, headers: new Headers(headers), origin };
    }
    const { origin, headers: made } = this.#said;
    const given = body.length === 0 ? undefined : body;
    return new WireRequest({ method, url: urlOf(origin, target), headers: made, body: given });
  }

  async #answer(head: Head, body: Buffer): Promise<void> {
    const { shared, writer } = this.#parts;
    this.#sinceMs = undefined;
    let request: WireRequest;
    try {
      request = this.#requestOf(head, body);
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
      keepAlive: head.keepAlive,
      chunks: head.version === "HTTP/1.1",
      date: dateOf(shared.now()),
    };
    if (!replyWhole(writer, response, options)) await reply(writer, response, options);
    // Answers that the client does not read are not added to.
    if (!writer.ready) await writer.drained();
    if (this.#input.length > 0) await this.#rowTurn();
    this.#next(head.keepAlive);
  }

  /** Requests that came at once do not keep others waiting. */
  async #rowTurn(): Promise<void> {
    this.#row += 1;
    if (this.#row % limits.requestsPerTurnMax === 0) await nextTurn();
  }

  #next(keepAlive: boolean): void {
    this.#request = undefined;
    this.#head = undefined;
    this.#body = undefined;
    if (!keepAlive) {
      this.#parts.writer.end();
      return;
    }
    if (this.#paused) {
      this.#paused = false;
      this.#parts.resume();
    }
    if (this.#input.length > 0) this.#advance();
  }

  /** Where the next request begins is not known after a fault: the connection ends. */
  #refuse(error: unknown): void {
    const { writer, shared } = this.#parts;
    const fault = error instanceof HeadError ? error : undefined;
    const response =
      fault === undefined ? shared.failed(error) : respondStatus(statusOfHead(fault));
    const refused = { method: "GET", url: "http://refused/", headers: NO_HEADERS, body: undefined };
    this.#request = new WireRequest(refused);
    this.#input = EMPTY;
    const date = dateOf(shared.now());
    void reply(writer, response, { head: false, keepAlive: false, chunks: true, date }).then(() =>
      writer.end(),
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
    writer.write(text);
    this.#socket = make({ writer, pause, resume });
    const rest = this.#input;
    this.#input = EMPTY;
    if (this.#paused) resume();
    if (rest.length > 0) this.#socket.receive(rest);
    return this.#socket.channel;
  }
}

function statusOfHead({ status, message }: HeadError) {
  if (status === 413) return refuse.tooLarge(message).status;
  return { ...refuse.badRequest(message).status, code: status, reason: REASONS[status] ?? "" };
}

const REASONS: Record<number, string> = {
  400: "BadRequest",
  405: "MethodNotAllowed",
  417: "ExpectationFailed",
  431: "RequestHeaderFieldsTooLarge",
  501: "NotImplemented",
  505: "HTTPVersionNotSupported",
};
