/**
 * The body of a request. Nothing of it is read before somebody asks for it: who asks is
 * authenticated and authorized by then.
 */
import type { ApiError } from "#api/errors.ts";
import { BodyReader } from "#api/wire/body.ts";
import { refusalOf } from "#api/wire/refusal.ts";
import type { Intake } from "#base/intake.ts";
import { limits } from "#base/limits.ts";

/** The connection that a body comes through. */
export interface BodySource {
  /** What came in and was not read. */
  readonly input: Intake;
  /** Lets more come in. `first`: a client that waits for a 100 gets it. */
  wanted(first: boolean): void;
}

export class IncomingBody {
  readonly #reader: BodyReader;
  readonly #source: BodySource;
  /** The client sends nothing before it is told to. */
  readonly #isHeldBack: boolean;
  readonly #whole = Promise.withResolvers<Buffer>();
  #skipped: PromiseWithResolvers<boolean> | undefined;
  #asked = false;
  #failed = false;

  /** @throws HeadError 413 for a body that says that it is too long. */
  constructor(length: number | "chunked", bytesMax: number, isHeldBack: boolean, from: BodySource) {
    this.#reader = new BodyReader(length, bytesMax);
    this.#isHeldBack = isHeldBack;
    this.#source = from;
    this.#whole.promise.catch(() => undefined);
  }

  get isOver(): boolean {
    return this.#reader.done;
  }

  /** Whether somebody waits for bytes of the client. */
  get isWanted(): boolean {
    return (this.#asked || this.#skipped !== undefined) && !this.#reader.done && !this.#failed;
  }

  /** The whole body. Rejects with an ApiError for one that is malformed, too long or cut off. */
  read(): Promise<Buffer> {
    if (!this.#asked) {
      this.#asked = true;
      this.#source.wanted(this.#isHeldBack);
      this.receive();
    }
    return this.#whole.promise;
  }

  /** The whole body, should somebody else read it. Rejects where nobody does. */
  get whenRead(): Promise<Buffer> {
    return this.#whole.promise;
  }

  /** Reads as far as the input reaches. */
  receive(): void {
    const { input } = this.#source;
    try {
      const rest = this.#reader.take(input.bytes);
      input.skip(input.length - rest.length);
    } catch (error) {
      this.fail(refusalOf(error));
      return;
    }
    if (!this.#reader.done) return;
    this.#whole.resolve(this.#reader.bytes());
    this.#skipped?.resolve(true);
  }

  /** No more comes, or what comes is no body. */
  fail(error: ApiError): void {
    this.#failed = true;
    this.#whole.reject(error);
    this.#skipped?.resolve(false);
  }

  /** The request is answered. False: the connection cannot carry another one. */
  answered(unread: ApiError): boolean {
    this.#whole.reject(unread);
    if (!this.#asked && !this.#isHeldBack && !this.#failed) {
      this.#reader.discard();
      this.receive();
    }
    if (this.#failed) return false;
    if (this.#reader.done) return true;
    if (this.#isHeldBack && !this.#asked) return false;
    return (this.#reader.left ?? Number.POSITIVE_INFINITY) <= limits.unreadBodyBytesMax;
  }

  /** Reads what is left and keeps nothing. False: the next request cannot be found. */
  async skip(): Promise<boolean> {
    if (this.#reader.done) return true;
    this.#skipped = Promise.withResolvers();
    this.#reader.discard();
    this.#source.wanted(false);
    this.receive();
    return this.#failed ? false : this.#skipped.promise;
  }
}
