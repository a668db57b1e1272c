/**
 * Bytes that came in and were not read yet. However small the pieces are, each byte is copied a few
 * times at most.
 */

const EMPTY = Buffer.alloc(0);
const SPACE_BYTES_MIN = 1024;

export class Intake {
  /** Own memory, once there was more than one piece. */
  #space: Buffer | undefined;
  #bytes: Buffer = EMPTY;
  /** Where `#bytes` ends in `#space`. */
  #end = 0;

  get length(): number {
    return this.#bytes.length;
  }

  /** What is there: valid until the next `append`. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  append(piece: Buffer): void {
    const { length } = this.#bytes;
    if (length === 0) {
      this.#space = undefined;
      this.#bytes = piece;
      return;
    }
    const space = this.#spaceFor(piece.length);
    space.set(piece, this.#end);
    this.#end += piece.length;
    this.#bytes = space.subarray(this.#end - length - piece.length, this.#end);
  }

  #spaceFor(more: number): Buffer {
    const { length } = this.#bytes;
    const old = this.#space;
    if (old !== undefined && this.#end + more <= old.length) return old;
    const space = Buffer.allocUnsafeSlow(Math.max(2 * (length + more), SPACE_BYTES_MIN));
    space.set(this.#bytes);
    this.#space = space;
    this.#end = length;
    return space;
  }

  /** The first bytes were read. */
  skip(count: number): void {
    this.#bytes = this.#bytes.subarray(count);
    if (this.#bytes.length === 0) this.clear();
  }

  clear(): void {
    this.#space = undefined;
    this.#bytes = EMPTY;
  }
}
