/**
 * Texts become the bytes of an answer where the socket reads them, without a copy in between:
 * joined first, a list of 10 MB is copied four times, into memory that the kernel has to clear.
 */
import type { Slice } from "#api/slices.ts";

/** A body of up to so many characters uses one of the spaces that are kept. */
const SPACE_CHARS = 384 * 1024;
/** UTF-8 bytes of one UTF-16 unit, at most. */
const UNIT_BYTES_MAX = 3;
const SPACES_MAX = 4;
/** For what stands before a body: a chunk's size, or a whole head. */
const BEFORE_BYTES = 4 * 1024;
const COMMA = 44;

/** Spaces that nobody uses now. Their pages come into being when they are written. */
const spaces: Buffer[] = [];

/** Bytes of an answer; they stay as they are until `release`. */
export class Bytes {
  #space: Buffer;
  #start = BEFORE_BYTES;
  #end = BEFORE_BYTES;

  /** Room for a body of so many UTF-16 units. */
  constructor(chars: number) {
    this.#space =
      chars <= SPACE_CHARS
        ? (spaces.pop() ?? Buffer.allocUnsafeSlow(BEFORE_BYTES + SPACE_CHARS * UNIT_BYTES_MAX))
        : Buffer.allocUnsafeSlow(BEFORE_BYTES + chars * UNIT_BYTES_MAX);
  }

  get size(): number {
    return this.#end - this.#start;
  }

  add(text: string): void {
    this.#end += this.#space.write(text, this.#end);
  }

  addSlice({ before, texts, after }: Slice): void {
    this.add(before);
    for (let at = 0; at < texts.length; at += 1) {
      if (at > 0) this.#space[this.#end++] = COMMA;
      this.add(texts[at] ?? "");
    }
    this.add(after);
  }

  /** Puts one-byte characters before what is there. False: there is no room for them. */
  putBefore(text: string): boolean {
    if (text.length > this.#start) return false;
    this.#start -= text.length;
    this.#space.write(text, this.#start, "latin1");
    return true;
  }

  view(): Buffer {
    return this.#space.subarray(this.#start, this.#end);
  }

  /** Nobody reads the view any more. */
  release(): void {
    if (this.#space.length > BEFORE_BYTES + SPACE_CHARS * UNIT_BYTES_MAX) return;
    if (spaces.length < SPACES_MAX) spaces.push(this.#space);
  }
}

/** UTF-16 units of a slice with its commas. */
export function charsOf({ before, texts, after }: Slice): number {
  let chars = before.length + after.length + texts.length;
  for (const text of texts) chars += text.length;
  return chars;
}
