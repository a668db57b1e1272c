/**
 * Texts become the bytes of an answer where the socket reads them, without a copy in between:
 * joined first, a list of 10 MB is copied four times, into memory that the kernel has to clear.
 */
import type { Slice } from "#api/slices.ts";

/** A body of up to so many bytes uses one of the spaces that are kept. */
const SPACE_BYTES = 3 * 384 * 1024;
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

  /** Room for a body of so many bytes. */
  constructor(bytesMax: number) {
    this.#space =
      bytesMax <= SPACE_BYTES
        ? (spaces.pop() ?? Buffer.allocUnsafeSlow(BEFORE_BYTES + SPACE_BYTES))
        : Buffer.allocUnsafeSlow(BEFORE_BYTES + bytesMax);
  }

  get size(): number {
    return this.#end - this.#start;
  }

  add(text: string): void {
    this.#end += this.#space.write(text, this.#end);
  }

  addBytes(bytes: Uint8Array): void {
    this.#space.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  addSlice({ before, texts, after }: Slice): void {
    this.add(before);
    this.addTexts(texts());
    this.add(after);
  }

  addTexts(texts: readonly string[]): void {
    for (let at = 0; at < texts.length; at += 1) {
      if (at > 0) this.#space[this.#end++] = COMMA;
      this.add(texts[at] ?? "");
    }
  }

  /** Puts one-byte characters before what is there. False: there is no room for them. */
  putBefore(text: string): boolean {
    if (text.length > this.#start) return false;
    this.#start -= text.length;
    this.#space.write(text, this.#start, "latin1");
    return true;
  }

  /** Makes them a chunk of HTTP/1.1; `bytesMax` had room for a line's end. */
  frame(): void {
    this.putBefore(`${this.size.toString(16)}\r\n`);
    this.add("\r\n");
  }

  view(): Buffer {
    return this.#space.subarray(this.#start, this.#end);
  }

  /** Nobody reads the view any more. */
  release(): void {
    if (this.#space.length > BEFORE_BYTES + SPACE_BYTES) return;
    if (spaces.length < SPACES_MAX) spaces.push(this.#space);
  }
}

/** How many bytes a slice comes to at most, with a line's end after it. */
export function bytesMaxOf({ before, texts, after }: Slice): number {
  let chars = before.length + after.length + 2;
  const all = texts();
  chars += all.length;
  for (const text of all) chars += text.length;
  return chars * UNIT_BYTES_MAX;
}
