/**
 * A request as it came off the wire: head and body are at hand, and what few handlers ask for (a
 * stream, a signal, a copy) is made when they do. A native Request copies headers and body first;
 * that costs more than to read and check a small object.
 */
import { HeadError } from "#base/httphead.ts";

/** Targets that a URL leaves as they are; every other one is put in its form by a URL. */
const PLAIN = /^[A-Za-z0-9\-._~/?=&%,:;@!$()*+[\]]*$/;
const DOTS = /\/(?:\.|%2e)/i;
/** As a Request decodes text: without a byte order mark. */
const decoder = new TextDecoder();
const NO_BYTES = new Uint8Array(0);

/** `https://host:port` in a URL's own form. @throws HeadError */
export function originOf(scheme: string, host: string): string {
  try {
    return new URL(`${scheme}://${host === "" ? "localhost" : host}`).origin;
  } catch {
    throw new HeadError(400, "malformed host");
  }
}

/** The absolute URL of a target that begins with a slash. @throws HeadError */
export function urlOf(origin: string, target: string): string {
  if (PLAIN.test(target) && !DOTS.test(target)) return origin + target;
  try {
    const url = new URL(origin + target);
    url.hash = "";
    return url.href;
  } catch {
    throw new HeadError(400, "malformed target");
  }
}

export interface WireRequestParts {
  readonly method: string;
  readonly url: string;
  /** Shared by requests with the same head: never changed. */
  readonly headers: Headers;
  readonly body: RequestBody | undefined;
}

/** A body that is read when somebody asks for it. */
export interface RequestBody {
  read(): Promise<Uint8Array>;
  /** The same, should somebody else read it. */
  readonly whenRead: Promise<Uint8Array>;
}

const streamOf = (read: () => Promise<Uint8Array>): ReadableStream<Uint8Array> =>
  new ReadableStream({
    async pull(controller) {
      const bytes = await read();
      if (bytes.length > 0) controller.enqueue(new Uint8Array(bytes));
      controller.close();
    },
  });

/** Does what a Request does; `asRequest` says so to the compiler. */
export class WireRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly #body: RequestBody | undefined;
  #stream: ReadableStream<Uint8Array> | undefined;
  #controller: AbortController | undefined;
  #gone = false;

  constructor({ method, url, headers, body }: WireRequestParts) {
    this.method = method;
    this.url = url;
    this.headers = headers;
    this.#body = method === "GET" || method === "HEAD" ? undefined : body;
  }

  get asRequest(): Request {
    return this as unknown as Request;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#gone) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  clientGone(): void {
    this.#gone = true;
    this.#controller?.abort();
  }

  get body(): ReadableStream<Uint8Array> | null {
    const body = this.#body;
    if (body === undefined) return null;
    this.#stream ??= streamOf(() => body.read());
    return this.#stream;
  }

  get bodyUsed(): boolean {
    return this.#stream?.locked ?? false;
  }

  async text(): Promise<string> {
    return this.#body === undefined ? "" : decoder.decode(await this.#body.read());
  }

  async bytes(): Promise<Uint8Array> {
    return this.#body === undefined ? NO_BYTES : new Uint8Array(await this.#body.read());
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer as ArrayBuffer;
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  /** A copy for who looks on: it gets the body where the request's own handler reads it. */
  clone(): Request {
    const { method, headers } = this;
    const body = this.#body;
    const stream = body === undefined ? null : streamOf(() => body.whenRead);
    return new Request(this.url, { method, headers, body: stream });
  }
}
