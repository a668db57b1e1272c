/**
 * A small HTTP/2 client (RFC 9113) over a Unix socket, TCP or TLS, as much of it as gRPC needs. Bun
 * 1.4.5's node:http2 now and then left an answer unread on the socket until the next write, and
 * costs 10 MB.
 */
import type { Socket, SocketHandler } from "bun";
import { keepNewest } from "#base/bounded.ts";
import { messageOf } from "#base/errors.ts";
import { decodeHeaders, encodeHeaders } from "#base/hpack.ts";

const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const CONTINUATION = 9;

const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const PADDED = 8;
const PRIORITY = 32;

const HEADER_TABLE_SIZE = 1;
const ENABLE_PUSH = 2;
const INITIAL_WINDOW_SIZE = 4;

const CANCEL = 8;
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_BYTES_MAX = 16_384;
const WINDOW_BYTES = 65_535;
/** Nothing is held back on the way here: who reads bounds what it keeps. */
const WINDOW_BYTES_MAX = 2 ** 31 - 1;
/** Bytes after which the connection's window is filled up again. */
const REFILL_BYTES = 2 ** 28;
const STREAM_ID_MAX = 2 ** 31 - 1;
const NOTHING = Buffer.alloc(0);
/** Header blocks of answers that are kept with what they say: a server sends few that differ. */
const BLOCKS_MAX = 16;
const BLOCK_BYTES_MAX = 256;

export interface StreamHandlers {
  onHeaders(headers: Readonly<Record<string, string>>): void;
  /** Views of what came from the socket: they hold all of it. */
  onData(bytes: Buffer): void;
  /** The last call: the other side has ended, or an error says why it did not. */
  onEnd(error: Error | undefined): void;
}

export interface NetworkEndpoint {
  hostname: string;
  port: number;
  /** PEM texts. Without it the connection is plain. */
  tls?: { ca?: string; cert?: string; key?: string };
}

/** Where a server listens. */
export type Endpoint = { unix: string } | NetworkEndpoint;

export interface RequestOptions {
  /** The body goes on: `send` adds to it until the request is cancelled. */
  open?: boolean;
}

export interface OpenRequest {
  send(bytes: Uint8Array): void;
  cancel(): void;
}

export class Http2Error extends Error {
  override name = "Http2Error";
}

interface Stream {
  id: number;
  handlers: StreamHandlers;
  /** Of the body, not sent yet. */
  unsent: Uint8Array;
  sendWindow: number;
  /** More of the body may come. */
  open: boolean;
}

function frame(type: number, flags: number, id: number, payload: Uint8Array): Uint8Array {
  const out = Buffer.alloc(9 + payload.length);
  out.writeUIntBE(payload.length, 0, 3);
  out[3] = type;
  out[4] = flags;
  out.writeUInt32BE(id, 5);
  out.set(payload, 9);
  return out;
}

function number(value: number): Uint8Array {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}

function settings(values: ReadonlyArray<readonly [number, number]>): Uint8Array {
  const out = Buffer.alloc(values.length * 6);
  values.forEach(([key, value], i) => {
    out.writeUInt16BE(key, i * 6);
    out.writeUInt32BE(value, i * 6 + 2);
  });
  return out;
}

/** What a DATA or HEADERS frame carries, without padding and priority. */
function content(flags: number, payload: Buffer): Buffer {
  if ((flags & (PADDED | PRIORITY)) === 0) return payload;
  const padding = flags & PADDED ? (payload[0] ?? 0) : 0;
  const start = (flags & PADDED ? 1 : 0) + (flags & PRIORITY ? 5 : 0);
  if (start + padding > payload.length) throw new Http2Error("padding longer than its frame");
  return payload.subarray(start, payload.length - padding);
}

function nameOf(endpoint: Endpoint): string {
  return "unix" in endpoint ? endpoint.unix : `${endpoint.hostname}:${endpoint.port}`;
}

/** The protocol's name with its length before it: etcd speaks HTTP/1.1 to those who name none. */
const ALPN = "\x02h2";

function connect(endpoint: Endpoint, socket: SocketHandler): Promise<unknown> {
  if ("unix" in endpoint) return Bun.connect({ unix: endpoint.unix, socket });
  const { hostname, port, tls } = endpoint;
  if (tls === undefined) return Bun.connect({ hostname, port, socket });
  return Bun.connect({ hostname, port, socket, tls: { ...tls, ALPNProtocols: ALPN } });
}

export class Http2Connection {
  readonly #endpoint: Endpoint;
  readonly #connectMsMax: number;
  readonly #streams = new Map<number, Stream>();
  #socket: Socket | undefined;
  /** Bytes for the socket that it did not take yet. */
  #out: Uint8Array[] = [];
  #in: Buffer = NOTHING;
  #nextId = 1;
  #sendWindow = WINDOW_BYTES;
  #initialWindow = WINDOW_BYTES;
  #received = 0;
  /** Of headers that are sent again and again as one object. */
  readonly #encoded = new WeakMap<object, Uint8Array>();
  readonly #decoded = new Map<string, Readonly<Record<string, string>>>();
  #block: { id: number; end: boolean; parts: Buffer[] } | undefined;
  #closed = false;
  #flushing = false;

  constructor(endpoint: Endpoint, connectMsMax: number) {
    this.#endpoint = endpoint;
    this.#connectMsMax = connectMsMax;
    void this.#connect();
  }

  /** Whether new streams may be opened. */
  get usable(): boolean {
    return !this.#closed && this.#nextId < STREAM_ID_MAX;
  }

  async #connect(): Promise<void> {
    this.#write(Buffer.from(PREFACE));
    const own = settings([
      [HEADER_TABLE_SIZE, 0],
      [ENABLE_PUSH, 0],
      [INITIAL_WINDOW_SIZE, WINDOW_BYTES_MAX],
    ]);
    this.#write(frame(SETTINGS, 0, 0, own));
    this.#write(frame(WINDOW_UPDATE, 0, 0, number(WINDOW_BYTES_MAX - WINDOW_BYTES)));
    // Bun has been seen to neither connect nor fail while a server was about to listen.
    const name = nameOf(this.#endpoint);
    const late = () => this.#fail(new Http2Error(`connect ${name}: no answer`));
    const timer = setTimeout(late, this.#connectMsMax);
    const encrypted = "tls" in this.#endpoint;
    const ready = (socket: Socket) => {
      clearTimeout(timer);
      this.#socket = socket;
      if (this.#closed) socket.end();
      else this.#flush();
    };
    const socket: SocketHandler<undefined> = {
      open: (opened) => {
        if (!encrypted) ready(opened);
      },
      handshake: (opened, verified, error) => {
        if (verified) ready(opened);
        else this.#fail(new Http2Error(`connect ${name}: ${error?.message ?? "not trusted"}`));
      },
      data: (_, bytes) => this.#read(bytes),
      drain: () => this.#flush(),
      close: () => this.#fail(new Http2Error(`connection to ${name} lost`)),
      error: (_, error) => this.#fail(error),
    };
    try {
      await connect(this.#endpoint, socket);
    } catch (error) {
      clearTimeout(timer);
      this.#fail(new Http2Error(`connect ${name}: ${messageOf(error)}`, { cause: error }));
    }
  }

  /**
   * Sends a request with its body, or the beginning of it. Headers that come again as the same
   * object are encoded once: they must not change.
   */
  request(
    headers: Readonly<Record<string, string>>,
    body: Uint8Array,
    handlers: StreamHandlers,
    { open = false }: RequestOptions = {},
  ): OpenRequest {
    const stream: Stream = {
      id: this.#nextId,
      handlers,
      unsent: body,
      sendWindow: this.#initialWindow,
      open,
    };
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.#write(frame(HEADERS, END_HEADERS, stream.id, this.#encode(headers)));
    this.#send(stream);
    return {
      send: (bytes) => {
        if (!this.#streams.has(stream.id)) return;
        stream.unsent = Buffer.concat([stream.unsent, bytes]);
        this.#send(stream);
      },
      cancel: () => {
        if (!this.#streams.delete(stream.id)) return;
        this.#write(frame(RST_STREAM, 0, stream.id, number(CANCEL)));
      },
    };
  }

  #encode(headers: Readonly<Record<string, string>>): Uint8Array {
    let block = this.#encoded.get(headers);
    if (block === undefined) {
      block = encodeHeaders(headers);
      this.#encoded.set(headers, block);
    }
    return block;
  }

  /** No dynamic table is allowed, so that the same bytes always say the same. */
  #decode(block: Buffer): Readonly<Record<string, string>> {
    if (block.length > BLOCK_BYTES_MAX) return decodeHeaders(block);
    const key = block.toString("latin1");
    let headers = this.#decoded.get(key);
    if (headers === undefined) {
      headers = decodeHeaders(block);
      this.#decoded.set(key, headers);
      keepNewest(this.#decoded, BLOCKS_MAX);
    }
    return headers;
  }

  close(): void {
    this.#fail(new Http2Error("connection closed"));
  }

  /** As much of the body as the other side takes now; the last piece ends this side. */
  #send(stream: Stream): void {
    for (;;) {
      const size = Math.min(
        stream.unsent.length,
        stream.sendWindow,
        this.#sendWindow,
        FRAME_BYTES_MAX,
      );
      if (size <= 0 && stream.unsent.length > 0) return;
      const piece = stream.unsent.subarray(0, size);
      stream.unsent = stream.unsent.subarray(size);
      stream.sendWindow -= size;
      this.#sendWindow -= size;
      const sent = stream.unsent.length === 0;
      this.#write(frame(DATA, sent && !stream.open ? END_STREAM : 0, stream.id, piece));
      if (sent) return;
    }
  }

  #sendAll(): void {
    for (const stream of this.#streams.values()) {
      if (stream.unsent.length > 0) this.#send(stream);
    }
  }

  /** What is written in one turn leaves in one call of the system. */
  #write(bytes: Uint8Array): void {
    this.#out.push(bytes);
    if (this.#flushing) return;
    this.#flushing = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushing = false;
    if (this.#socket === undefined || this.#closed || this.#out.length === 0) return;
    const all = this.#out.length === 1 ? this.#out[0] : Buffer.concat(this.#out);
    const written = Math.max(0, this.#socket.write(all ?? new Uint8Array()));
    const rest = all?.subarray(written);
    this.#out = rest === undefined || rest.length === 0 ? [] : [rest];
  }

  #read(bytes: Uint8Array): void {
    this.#in = this.#in.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#in, bytes]);
    let at = 0;
    try {
      while (this.#in.length - at >= 9 && !this.#closed) {
        const end = at + 9 + this.#in.readUIntBE(at, 3);
        if (this.#in.length < end) break;
        const type = this.#in[at + 3] ?? 0;
        const flags = this.#in[at + 4] ?? 0;
        const id = this.#in.readUInt32BE(at + 5) & STREAM_ID_MAX;
        this.#frame(type, flags, id, this.#in.subarray(at + 9, end));
        at = end;
      }
      this.#in = at === this.#in.length ? NOTHING : this.#in.subarray(at);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Http2Error(String(error)));
    }
  }

  #frame(type: number, flags: number, id: number, payload: Buffer): void {
    if (type === DATA) this.#data(flags, id, payload);
    else if (type === HEADERS) {
      this.#block = { id, end: (flags & END_STREAM) !== 0, parts: [content(flags, payload)] };
      if (flags & END_HEADERS) this.#headers();
    } else if (type === CONTINUATION) {
      this.#block?.parts.push(payload);
      if (flags & END_HEADERS) this.#headers();
    } else if (type === SETTINGS && !(flags & ACK)) this.#settings(payload);
    else if (type === PING && !(flags & ACK)) this.#write(frame(PING, ACK, 0, payload));
    else if (type === WINDOW_UPDATE) this.#window(id, payload.readUInt32BE(0) & STREAM_ID_MAX);
    else if (type === RST_STREAM) {
      this.#end(id, new Http2Error(`stream was reset (${payload.readUInt32BE(0)})`));
    } else if (type === GOAWAY) this.#fail(new Http2Error("the server is going away"));
  }

  #data(flags: number, id: number, payload: Buffer): void {
    this.#received += payload.length;
    if (this.#received >= REFILL_BYTES) {
      this.#write(frame(WINDOW_UPDATE, 0, 0, number(this.#received)));
      this.#received = 0;
    }
    this.#streams.get(id)?.handlers.onData(content(flags, payload));
    if (flags & END_STREAM) this.#end(id, undefined);
  }

  #headers(): void {
    const block = this.#block;
    this.#block = undefined;
    if (block === undefined) return;
    const [first] = block.parts;
    const whole =
      block.parts.length === 1 && first !== undefined ? first : Buffer.concat(block.parts);
    this.#streams.get(block.id)?.handlers.onHeaders(this.#decode(whole));
    if (block.end) this.#end(block.id, undefined);
  }

  #settings(payload: Buffer): void {
    for (let at = 0; at + 6 <= payload.length; at += 6) {
      if (payload.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue;
      const size = payload.readUInt32BE(at + 2);
      for (const stream of this.#streams.values()) stream.sendWindow += size - this.#initialWindow;
      this.#initialWindow = size;
    }
    this.#write(frame(SETTINGS, ACK, 0, new Uint8Array()));
    this.#sendAll();
  }

  #window(id: number, bytes: number): void {
    const stream = this.#streams.get(id);
    if (id === 0) this.#sendWindow += bytes;
    else if (stream !== undefined) stream.sendWindow += bytes;
    this.#sendAll();
  }

  #end(id: number, error: Error | undefined): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    stream.handlers.onEnd(error);
  }

  #fail(error: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket?.end();
    this.#out = [];
    for (const id of [...this.#streams.keys()]) this.#end(id, error);
  }
}
