/**
 * Finds the end of a body in passing bytes (RFC 9112 6 and 7.1). Extensions of chunks and trailers
 * that frame a message are left out of what is passed on; all else stays as it is.
 */
import { HeadError, isHarmlessTrailer } from "#base/httphead.ts";
import { limits } from "#base/limits.ts";

export type BodyEnd = "none" | "length" | "chunked" | "close";

type Place = "size" | "extension" | "data" | "dataEnd" | "trailer";

const CR = 13;
const LF = 10;
const SEMICOLON = 59;
const SIZE_DIGITS_MAX = 8;

const digitOf = (byte: number): number => {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
};

/** A tab, or what can be seen; the rest is read differently by others. */
const isText = (byte: number): boolean => byte === 9 || (byte >= 32 && byte !== 127);

/** One body; `take` is told every chunk that arrives until it is done. */
export class Body {
  readonly end: BodyEnd;
  done: boolean;
  /** Bytes seen, framing included. */
  bytes = 0;
  #left: number;
  #place: Place = "size";
  #digits = 0;
  /** Bytes of the current line. */
  #line = 0;
  #wasCr = false;
  /** The line of the trailer that is being read, and the lines that are passed on. */
  #field = "";
  #trailer = "";
  #fieldBytes = 0;
  /** What of the last chunk is passed on; undefined where that is all that was taken. */
  #pieces: Uint8Array[] | undefined;

  constructor(end: BodyEnd, length = 0) {
    this.end = end;
    this.#left = length;
    this.done = end === "none" || (end === "length" && length === 0);
  }

  /** What is to be sent on of the chunk that `take` was told last. */
  passed(chunk: Buffer, taken: number): Buffer {
    if (this.#pieces !== undefined) return Buffer.concat(this.#pieces);
    return taken === chunk.length ? chunk : chunk.subarray(0, taken);
  }

  /** How many bytes of the chunk are of this body; fewer than it has where it ended within. */
  take(chunk: Uint8Array): number {
    this.#pieces = undefined;
    if (this.done) return 0;
    let taken = chunk.length;
    if (this.end === "length") {
      taken = Math.min(taken, this.#left);
      this.#left -= taken;
      this.done = this.#left === 0;
    } else if (this.end === "chunked") {
      taken = this.#takeChunked(chunk);
    }
    this.bytes += taken;
    return taken;
  }

  /** Bytes that are left out. */
  get #isHidden(): boolean {
    if (this.#place === "extension") return !this.#wasCr;
    return this.#place === "trailer" && this.#line > 0;
  }

  #takeChunked(chunk: Uint8Array): number {
    /** Where the bytes begin that are not passed on yet. */
    let from = 0;
    let at = 0;
    const pass = (to: number): void => {
      this.#pieces ??= [];
      if (to > from) this.#pieces.push(chunk.subarray(from, to));
    };
    if (this.#isHidden) this.#pieces = [];
    while (at < chunk.length && !this.done) {
      if (this.#place === "data") {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        if (this.#left === 0) this.#place = "dataEnd";
        continue;
      }
      const byte = chunk[at] ?? 0;
      if (byte !== SEMICOLON && (this.#place === "size" || this.#place === "dataEnd")) {
        this.#byte(byte);
        at++;
        continue;
      }
      if (byte === CR && this.#trailer !== "" && this.#line === 0) {
        pass(at);
        this.#pieces?.push(Buffer.from(this.#trailer, "latin1"));
        this.#trailer = "";
        from = at;
      }
      const wasHidden = this.#isHidden;
      this.#byte(byte);
      const isHidden = this.#isHidden;
      if (!wasHidden && isHidden) pass(at);
      // The end of a line of the trailer is left out with it.
      if (wasHidden && !isHidden) from = byte === CR ? at : at + 1;
      at++;
    }
    if (this.#pieces !== undefined && !this.#isHidden) pass(at);
    return at;
  }

  #byte(byte: number): void {
    if (this.#wasCr) {
      if (byte !== LF) throw new HeadError(400, "bad chunk");
      this.#wasCr = false;
      this.#lineEnds();
      return;
    }
    if (byte === CR) {
      this.#wasCr = true;
      return;
    }
    // Some take a bare line feed for a line's end, others do not.
    if (!isText(byte) || this.#place === "dataEnd") throw new HeadError(400, "bad chunk");
    if (++this.#line > limits.ingressHeadBytesMax) throw new HeadError(431, "long chunk line");
    if (this.#place === "trailer") this.#field += String.fromCharCode(byte);
    if (this.#place !== "size") return;
    if (byte === SEMICOLON) {
      this.#place = "extension";
      return;
    }
    const digit = digitOf(byte);
    if (digit < 0 || ++this.#digits > SIZE_DIGITS_MAX) throw new HeadError(400, "bad chunk size");
    this.#left = this.#left * 16 + digit;
  }

  #fieldEnds(): void {
    const field = this.#field;
    this.#field = "";
    this.#fieldBytes += field.length;
    if (this.#fieldBytes > limits.ingressHeadBytesMax) throw new HeadError(431, "long trailer");
    if (isHarmlessTrailer(field)) this.#trailer += `${field}\r\n`;
  }

  #lineEnds(): void {
    const length = this.#line;
    this.#line = 0;
    switch (this.#place) {
      case "dataEnd":
        this.#place = "size";
        this.#digits = 0;
        return;
      case "trailer":
        this.done = length === 0;
        if (!this.done) this.#fieldEnds();
        return;
      default:
        if (this.#digits === 0) throw new HeadError(400, "bad chunk size");
        this.#place = this.#left === 0 ? "trailer" : "data";
    }
  }
}
