/**
 * What waits for one watcher's client. What was there at the start is made when the client is ready
 * for it; changes wait behind it, as many as a bound allows: past it the watcher is cut.
 */

import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";

type Controller = ReadableStreamDefaultController<Uint8Array>;

/** A connection that takes what is sent without a stream in between. */
export interface Sink {
  /** Whether it takes more without a wait; never once the client is gone. */
  readonly ready: boolean;
  write(bytes: Uint8Array): void;
  /** Resolves when it took all, or the client is gone. */
  drained(): Promise<void>;
  /** Calls back once, when the client is gone. */
  whenGone(callback: () => void): void;
}

/** So much goes to a client that takes all before others get their turn. */
const IN_ROW_BYTES = 256 * 1024;

export class Outbox {
  /** Let go once all of it was taken: it holds every object that was there at the start. */
  #first: Iterator<Uint8Array> | undefined;
  readonly #onGone: () => void;
  #controller: Controller | undefined;
  #sink: Sink | undefined;
  #sent: PromiseWithResolvers<void> | undefined;
  #queue: Uint8Array[] = [];
  #bytes = 0;
  /** The client waits for the next piece. */
  #wanted = false;
  #ending = false;
  #over = false;
  #failure: Error | undefined;

  /** `onGone` is called once, when the client went away, or what it should get cannot be made. */
  constructor(first: Iterator<Uint8Array>, onGone: () => void) {
    this.#first = first;
    this.#onGone = onGone;
  }

  /** For who reads: this or `sendTo`, and once. */
  stream(): ReadableStream<Uint8Array> {
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
          if (this.#over) this.#close();
        },
        pull: () => this.#pull(),
        cancel: () => this.#gone(),
      },
      { highWaterMark: 0 },
    );
  }

  /**
   * Hands all to a connection. Resolves at the end, or when the client is gone; rejects where it is
   * cut.
   */
  sendTo(sink: Sink): Promise<void> {
    this.#sink = sink;
    this.#sent = Promise.withResolvers();
    sink.whenGone(() => {
      this.#gone();
      this.#sent?.resolve();
    });
    if (this.#over) this.#close();
    else this.#pump(sink);
    return this.#sent.promise;
  }

  #gone(): void {
    if (this.#over) return;
    this.#over = true;
    this.#first = undefined;
    this.#queue = [];
    this.#onGone();
  }

  #pull(): void {
    if (this.#over) return;
    const next = this.#next();
    if (next !== undefined) this.#controller?.enqueue(next);
    else if (this.#ending) this.#close();
    else this.#wanted = true;
  }

  /** Sends until the client has enough, or there is nothing. */
  #pump(sink: Sink): void {
    let inRow = 0;
    try {
      while (!this.#over && sink.ready && inRow < IN_ROW_BYTES) {
        const next = this.#next();
        if (next !== undefined) {
          sink.write(next);
          inRow += next.length;
        } else if (this.#ending) {
          this.#close();
        } else {
          this.#wanted = true;
          return;
        }
      }
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
      this.#onGone();
    }
    if (!this.#over) this.#later(sink);
  }

  /** Others get their turn, also where the client takes all at once. */
  #later(sink: Sink): void {
    const taken = sink.ready ? nextTurn() : sink.drained();
    void taken.then(() => this.#pump(sink));
  }

  #next(): Uint8Array | undefined {
    if (this.#first !== undefined) {
      const next = this.#first.next();
      if (next.done !== true) return next.value;
      this.#first = undefined;
    }
    const queued = this.#queue.shift();
    if (queued !== undefined) this.#bytes -= queued.length;
    return queued;
  }

  /** False when the client is too far behind: it gets no more. */
  push(bytes: Uint8Array): boolean {
    if (this.#over || this.#ending) return true;
    if (this.#wanted) {
      this.#hand(bytes);
      return true;
    }
    this.#queue.push(bytes);
    this.#bytes += bytes.length;
    return this.#bytes <= limits.watcherBacklogBytesMax;
  }

  #hand(bytes: Uint8Array): void {
    const sink = this.#sink;
    if (sink === undefined) {
      this.#wanted = false;
      this.#controller?.enqueue(bytes);
      return;
    }
    sink.write(bytes);
    if (sink.ready) return;
    this.#wanted = false;
    this.#later(sink);
  }

  /** No more comes; what waits is still sent. */
  end(): void {
    if (this.#ending || this.#over) return;
    this.#ending = true;
    if (this.#wanted) this.#close();
  }

  /** Says how it ended. */
  #close(): void {
    this.#over = true;
    if (this.#failure === undefined) {
      this.#controller?.close();
      this.#sent?.resolve();
    } else {
      this.#controller?.error(this.#failure);
      this.#sent?.reject(this.#failure);
    }
  }

  /** Ends it now, so that the client sees a broken connection; what waits is let go. */
  cut(reason: string): void {
    if (!this.#over) this.#fail(new Error(reason));
  }

  #fail(failure: Error): void {
    this.#failure = failure;
    this.#first = undefined;
    this.#queue = [];
    this.#close();
  }
}

/**
 * The answer to a watch. Does what a Response does, and makes one, with its stream, only where
 * somebody asks for it: most watches go straight to a socket.
 */
class WatchResponse {
  readonly outbox: Outbox;
  readonly status = 200;
  readonly statusText = "";
  readonly ok = true;
  readonly headers: Headers;
  #native: Response | undefined;

  constructor(outbox: Outbox, headers: Readonly<Record<string, string>>) {
    this.outbox = outbox;
    this.headers = new Headers(headers);
  }

  get asResponse(): Response {
    return this as unknown as Response;
  }

  #made(): Response {
    this.#native ??= new Response(this.outbox.stream(), { headers: this.headers });
    return this.#native;
  }

  get body(): ReadableStream<Uint8Array> | null {
    return this.#made().body;
  }

  get bodyUsed(): boolean {
    return this.#native?.bodyUsed ?? false;
  }

  text(): Promise<string> {
    return this.#made().text();
  }

  bytes(): Promise<Uint8Array> {
    return this.#made().bytes();
  }

  arrayBuffer(): Promise<ArrayBuffer> {
    return this.#made().arrayBuffer();
  }

  json(): Promise<unknown> {
    return this.#made().json();
  }
}

export const watchResponse = (
  outbox: Outbox,
  headers: Readonly<Record<string, string>>,
): Response => new WatchResponse(outbox, headers).asResponse;

/** Whoever takes it leaves the body alone, and the other way round. */
export const outboxOf = (response: unknown): Outbox | undefined =>
  response instanceof WatchResponse ? response.outbox : undefined;
