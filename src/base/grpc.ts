/**
 * A small gRPC client: one connection, made when first needed and made again after it broke.
 * Retrying is left to the caller.
 */
import { TimeoutError } from "#base/errors.ts";
import { type Endpoint, Http2Connection, type OpenRequest } from "#base/http2.ts";
import { percentDecoded } from "#base/percent.ts";

/** Status codes that callers branch on (grpc.io, status codes). */
export const grpcCodes = {
  invalidArgument: 3,
  notFound: 5,
  alreadyExists: 6,
  failedPrecondition: 9,
  unavailable: 14,
} as const;

export class GrpcError extends Error {
  override name = "GrpcError";
  readonly code: number;
  constructor(code: number, message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
  }
}

export interface CallOptions {
  /** No limit when left out. */
  timeoutMs?: number;
  signal?: AbortSignal;
}

/** A call in which both sides go on sending. */
export interface Conversation {
  send(message: Uint8Array): void;
  /** Resolves when the server ends the stream, rejects when it breaks or is cancelled. */
  done: Promise<void>;
}

export interface Grpc {
  /** One message there, one back. GrpcError, or TimeoutError past the limit. */
  unary(method: string, message: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  /**
   * Calls `onMessage` for each; resolves when the server ends the stream, rejects when it breaks.
   */
  stream(
    method: string,
    message: Uint8Array,
    onMessage: (message: Uint8Array) => void,
    options?: CallOptions,
  ): Promise<void>;
  close(): void;
}

export interface TalkingGrpc extends Grpc {
  /** As `stream`; more messages may follow the first. */
  converse(
    method: string,
    first: Uint8Array,
    onMessage: (message: Uint8Array) => void,
    options?: CallOptions,
  ): Conversation;
}

export interface GrpcOptions {
  endpoint: Endpoint;
  /** Milliseconds until the server takes the connection. */
  connectMsMax: number;
  /** Headers of every call. */
  metadata?: Readonly<Record<string, string>>;
}

function frame(message: Uint8Array): Buffer {
  const out = Buffer.alloc(5 + message.length);
  out.writeUInt32BE(message.length, 1);
  out.set(message, 5);
  return out;
}

/** Cuts a stream of bytes into messages: a flag byte, a length, the message. */
class Deframer {
  readonly #chunks: Buffer[] = [];
  #size = 0;

  push(chunk: Buffer): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    if (this.#size < 5) return [];
    let all = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    this.#chunks.length = 0;
    const messages: Uint8Array[] = [];
    while (all.length >= 5) {
      const end = 5 + all.readUInt32BE(1);
      if (all.length < end) break;
      messages.push(all.subarray(5, end));
      all = all.subarray(end);
    }
    if (all.length > 0) this.#chunks.push(all);
    this.#size = all.length;
    return messages;
  }
}

interface Status {
  code: number;
  message: string;
}

function statusOf(headers: Readonly<Record<string, string>>): Status | undefined {
  const code = headers["grpc-status"];
  if (code === undefined) return undefined;
  const text = headers["grpc-message"] ?? "";
  // Text with invalid percent-encoding is returned unchanged.
  return { code: Number(code), message: percentDecoded(text) ?? text };
}

class Client implements TalkingGrpc {
  readonly #options: GrpcOptions;
  #connection: Http2Connection | undefined;
  /** Headers by method; there are as many as methods are called. */
  readonly #known = new Map<string, Readonly<Record<string, string>>>();

  constructor(options: GrpcOptions) {
    this.#options = options;
  }

  #connect(): Http2Connection {
    const { endpoint, connectMsMax } = this.#options;
    if (this.#connection?.usable !== true) {
      this.#connection = new Http2Connection(endpoint, connectMsMax);
    }
    return this.#connection;
  }

  /** The same object each time: the connection encodes it once. */
  #headers(method: string): Readonly<Record<string, string>> {
    const known = this.#known.get(method);
    if (known !== undefined) return known;
    const { endpoint, metadata } = this.#options;
    const headers = {
      ":method": "POST",
      ":scheme": "tls" in endpoint ? "https" : "http",
      ":path": `/${method}`,
      ":authority": "unix" in endpoint ? "localhost" : `${endpoint.hostname}:${endpoint.port}`,
      "content-type": "application/grpc",
      te: "trailers",
      ...metadata,
    };
    this.#known.set(method, headers);
    return headers;
  }

  async unary(method: string, message: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    let answer: Uint8Array | undefined;
    await this.stream(
      method,
      message,
      (bytes) => {
        answer = bytes;
      },
      options,
    );
    if (answer === undefined) throw new GrpcError(13, `${method}: no answer`);
    return answer;
  }

  stream(
    method: string,
    message: Uint8Array,
    onMessage: (message: Uint8Array) => void,
    options: CallOptions = {},
  ): Promise<void> {
    return this.#call({ method, message, onMessage, options, open: false }).done;
  }

  converse(
    method: string,
    first: Uint8Array,
    onMessage: (message: Uint8Array) => void,
    options: CallOptions = {},
  ): Conversation {
    return this.#call({ method, message: first, onMessage, options, open: true });
  }

  #call({ method, message, onMessage, options, open }: Call): Conversation {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const deframer = new Deframer();
    let status: Status | undefined;
    let request: OpenRequest | undefined;
    const settle = (error: Error | undefined) => {
      clearTimeout(timer);
      options.signal?.removeEventListener("abort", onAbort);
      request?.cancel();
      if (error === undefined) resolve();
      else reject(error);
    };
    const { timeoutMs } = options;
    const late = () => settle(new TimeoutError(`${method} took more than ${timeoutMs} ms`));
    const timer = timeoutMs === undefined ? undefined : setTimeout(late, timeoutMs);
    const onAbort = () => settle(new GrpcError(1, `${method}: cancelled`));
    const send = (more: Uint8Array) => request?.send(frame(more));
    if (options.signal?.aborted === true) {
      onAbort();
      return { send, done: promise };
    }
    options.signal?.addEventListener("abort", onAbort, { once: true });
    const handlers = {
      onHeaders: (headers: Readonly<Record<string, string>>) => {
        status = statusOf(headers) ?? status;
      },
      onData: (bytes: Buffer) => {
        try {
          for (const each of deframer.push(bytes)) onMessage(each);
        } catch (error) {
          settle(error instanceof Error ? error : new Error(String(error)));
        }
      },
      onEnd: (error: Error | undefined) => settle(outcome(method, status, error)),
    };
    request = this.#connect().request(this.#headers(method), frame(message), handlers, { open });
    return { send, done: promise };
  }

  close(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }
}

interface Call {
  method: string;
  message: Uint8Array;
  onMessage: (message: Uint8Array) => void;
  options: CallOptions;
  open: boolean;
}

function outcome(method: string, status: Status | undefined, error?: Error): Error | undefined {
  if (status?.code === 0) return undefined;
  if (status !== undefined) return new GrpcError(status.code, status.message);
  const text = error?.message ?? "no status";
  return new GrpcError(grpcCodes.unavailable, `${method}: ${text}`, error);
}

export function createGrpc(options: GrpcOptions): TalkingGrpc {
  return new Client(options);
}
