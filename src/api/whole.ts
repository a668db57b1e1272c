/**
 * Answers whose body is at hand. A Response hides what it was made of, and copies it; the listener
 * sends these as they are.
 */

interface WholeInit {
  readonly status?: number;
  readonly headers?: Headers | Readonly<Record<string, string>>;
}

const decoder = new TextDecoder();

/**
 * Does what a Response does, and makes one only where somebody asks for what few do: most answers
 * go straight to a socket. `asResponse` says so to the compiler.
 */
class WholeResponse {
  readonly whole: string | Uint8Array;
  readonly status: number;
  readonly statusText = "";
  readonly redirected = false;
  readonly type = "default";
  readonly url = "";
  #headers: Headers | Readonly<Record<string, string>>;
  #native: Response | undefined;

  constructor(body: string | Uint8Array, { status = 200, headers = {} }: WholeInit) {
    this.whole = body;
    this.status = status;
    this.#headers = headers;
  }

  get asResponse(): Response {
    return this as unknown as Response;
  }

  /** As they were given, where nobody looked at them yet. */
  get plainHeaders(): Readonly<Record<string, string>> | undefined {
    return this.#headers instanceof Headers ? undefined : this.#headers;
  }

  get headers(): Headers {
    if (!(this.#headers instanceof Headers)) this.#headers = new Headers(this.#headers);
    return this.#headers;
  }

  get ok(): boolean {
    return this.status >= 200 && this.status < 300;
  }

  get body(): ReadableStream<Uint8Array> | null {
    this.#native ??= this.clone();
    return this.#native.body;
  }

  get bodyUsed(): boolean {
    return this.#native?.bodyUsed ?? false;
  }

  async text(): Promise<string> {
    return typeof this.whole === "string" ? this.whole : decoder.decode(this.whole);
  }

  async bytes(): Promise<Uint8Array> {
    return new Uint8Array(typeof this.whole === "string" ? Buffer.from(this.whole) : this.whole);
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return (await this.bytes()).buffer as ArrayBuffer;
  }

  async blob(): Promise<Blob> {
    return this.clone().blob();
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text());
  }

  clone(): Response {
    const { whole, status, headers } = this;
    const body = typeof whole === "string" ? whole : new Uint8Array(whole);
    return new Response(body, { status, headers });
  }
}

/** An answer whose body is at hand. */
export const wholeResponse = (body: string | Uint8Array, init: WholeInit = {}): Response =>
  new WholeResponse(body, init).asResponse;

const wholeOf = (response: unknown): WholeResponse | undefined =>
  response instanceof WholeResponse ? response : undefined;

export const wholeBodyOf = (response: Response): string | Uint8Array | undefined =>
  wholeOf(response)?.whole;

/** The headers of an answer that were never made into Headers. */
export const plainHeadersOf = (response: Response): Readonly<Record<string, string>> | undefined =>
  wholeOf(response)?.plainHeaders;
