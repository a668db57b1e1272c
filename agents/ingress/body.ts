/** Finds the end of a body in passing bytes (RFC 9112 6 and 7.1); the bytes stay as they are. */
import { HeadError } from "#base/httphead.ts";
import { limits } from "#base/limits.ts";

export type BodyEnd = "none" | "length" | "chunked" | "close";

type Place = "size" | "extension" | "data" | "dataEnd" | "trailer";

const CR = 13;
const LF = 10;
const SEMICOLON = 59;

const digitOf = (byte: number): number => {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 32;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
};

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

  constructor(end: BodyEnd, length = 0) {
    this.end = end;
    this.#left = length;
    this.done = end === "none" || (end === "length" && length === 0);
  }

  /** How many bytes of the chunk are of this body; fewer than it has where it ended within. */
  take(chunk: Uint8Array): number {
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

  #takeChunked(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && !this.done) {
      if (this.#place === "data") {
        const step = Math.min(this.#left, chunk.length - at);
        this.#left -= step;
        at += step;
        if (this.#left === 0) this.#place = "dataEnd";
      } else {
        this.#byte(chunk[at] ?? 0);
        at++;
      }
    }
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
    if (byte === LF || this.#place === "dataEnd") throw new HeadError(400, "bad chunk");
    if (++this.#line > limits.ingressHeadBytesMax) throw new HeadError(431, "long chunk line");
    if (this.#place !== "size") return;
    if (byte === SEMICOLON) {
      this.#place = "extension";
      return;
    }
    const digit = digitOf(byte);
    if (digit < 0 || ++this.#digits > 12) throw new HeadError(400, "bad chunk size");
    this.#left = this.#left * 16 + digit;
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
        return;
      default:
        if (this.#digits === 0) throw new HeadError(400, "bad chunk size");
        this.#place = this.#left === 0 ? "trailer" : "data";
    }
  }
}
