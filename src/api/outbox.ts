/**
 * What waits for one watcher's client. What was there at the start is made when the client is ready
 * for it; changes wait behind it, as many as a bound allows: past it the watcher is cut.
 */
import { limits } from "#base/limits.ts";

type Controller = ReadableStreamDefaultController<Uint8Array>;

export class Outbox {
  readonly stream: ReadableStream<Uint8Array>;
  readonly #first: Iterator<Uint8Array>;
  readonly #onGone: () => void;
  #controller: Controller | undefined;
  #queue: Uint8Array[] = [];
  #bytes = 0;
  #firstDone = false;
  /** The client waits for the next piece. */
  #wanted = false;
  #ending = false;
  #over = false;

  /** `onGone` is called once, when the client went away. */
  constructor(first: Iterator<Uint8Array>, onGone: () => void) {
    this.#first = first;
    this.#onGone = onGone;
    this.stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#pull(),
        cancel: () => {
          this.#over = true;
          this.#onGone();
        },
      },
      { highWaterMark: 0 },
    );
  }

  #pull(): void {
    if (this.#over) return;
    const next = this.#next();
    if (next !== undefined) this.#controller?.enqueue(next);
    else if (this.#ending) this.#close();
    else this.#wanted = true;
  }

  #next(): Uint8Array | undefined {
    if (!this.#firstDone) {
      const next = this.#first.next();
      if (next.done !== true) return next.value;
      this.#firstDone = true;
    }
    const queued = this.#queue.shift();
    if (queued !== undefined) this.#bytes -= queued.length;
    return queued;
  }

  /** False when the client is too far behind: it gets no more. */
  push(bytes: Uint8Array): boolean {
    if (this.#over || this.#ending) return true;
    if (this.#wanted) {
      this.#wanted = false;
      this.#controller?.enqueue(bytes);
      return true;
    }
    this.#queue.push(bytes);
    this.#bytes += bytes.length;
    return this.#bytes <= limits.watcherBacklogBytesMax;
  }

  /** No more comes; what waits is still sent. */
  end(): void {
    if (this.#ending || this.#over) return;
    this.#ending = true;
    if (this.#wanted) this.#close();
  }

  #close(): void {
    this.#over = true;
    this.#controller?.close();
  }

  /** Ends it now, so that the client sees a broken connection; what waits is let go. */
  cut(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#queue = [];
    this.#controller?.error(new Error(reason));
  }
}
