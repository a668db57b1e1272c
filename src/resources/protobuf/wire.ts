/** The wire format of protocol buffers: tags, varints, doubles, and bytes with their length. */

/** What is no protobuf message of Kubernetes, or a kind that has none. */
export class ProtobufError extends Error {
  override name = "ProtobufError";
}

export const Wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const;

const decoder = new TextDecoder();
const encoder = new TextEncoder();

const cut = (): ProtobufError => new ProtobufError("proto: unexpected EOF");

export class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at];
    if (byte === undefined) throw cut();
    this.#at += 1;
    return byte;
  }

  /** Signed, of 64 bits; past 2^53 the last digits are lost, as in any JSON parser. */
  varint(): number {
    let low = 0;
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.#byte();
      low |= (byte & 0x7f) << shift;
      if (byte < 0x80) return low;
    }
    let value = BigInt(low);
    for (let shift = 28n; shift < 70n; shift += 7n) {
      const byte = this.#byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(BigInt.asIntN(64, value));
    }
    throw new ProtobufError("proto: integer overflow");
  }

  /** A part of the same memory. */
  bytes(): Uint8Array {
    const length = this.varint();
    const end = this.#at + length;
    if (length < 0 || end > this.#bytes.length) throw cut();
    const part = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return part;
  }

  text(): string {
    return textOf(this.bytes());
  }

  double(): number {
    if (this.#at + 8 > this.#bytes.length) throw cut();
    const view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset + this.#at, 8);
    this.#at += 8;
    return view.getFloat64(0, true);
  }

  skip(wire: number): void {
    switch (wire) {
      case Wire.varint:
        this.varint();
        return;
      case Wire.bytes:
        this.bytes();
        return;
      case Wire.fixed64:
      case Wire.fixed32:
        this.#at += wire === Wire.fixed64 ? 8 : 4;
        if (this.#at > this.#bytes.length) throw cut();
        return;
      default:
        throw new ProtobufError(`proto: illegal wireType ${wire}`);
    }
  }
}

export const textOf = (bytes: Uint8Array): string => decoder.decode(bytes);

/** Calls `take` with each field; it reads the value or answers false to have it skipped. */
export function eachField(
  bytes: Uint8Array,
  take: (number: number, reader: Reader, wire: number) => boolean,
): void {
  const reader = new Reader(bytes);
  while (!reader.done) {
    const tag = reader.varint();
    const wire = tag & 7;
    if (!take(tag >>> 3, reader, wire)) reader.skip(wire);
  }
}

/** Writes from the end to the beginning, so that a length is known when its turn comes. */
export class Writer {
  #buffer = new Uint8Array(1024);
  #at = 1024;

  /** Bytes so far. */
  get size(): number {
    return this.#buffer.length - this.#at;
  }

  #reserve(count: number): number {
    if (this.#at < count) {
      const used = this.size;
      const next = new Uint8Array(Math.max(this.#buffer.length * 2, used + count + 1024));
      next.set(this.#buffer.subarray(this.#at), next.length - used);
      this.#at = next.length - used;
      this.#buffer = next;
    }
    this.#at -= count;
    return this.#at;
  }

  raw(bytes: Uint8Array): void {
    const start = this.#reserve(bytes.length);
    this.#buffer.set(bytes, start);
  }

  text(text: string): void {
    const start = this.#reserve(text.length);
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0x7f) {
        this.#at += text.length;
        this.raw(encoder.encode(text));
        return;
      }
      this.#buffer[start + i] = code;
    }
  }

  varint(value: number): void {
    if (value < 0) {
      this.#bigVarint(BigInt.asUintN(64, BigInt(value)));
      return;
    }
    let size = 1;
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size += 1;
    let at = this.#reserve(size);
    let rest = value;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) {
      this.#buffer[at] = (rest % 0x80) + 0x80;
      at += 1;
    }
    this.#buffer[at] = rest;
  }

  #bigVarint(value: bigint): void {
    const bytes: number[] = [];
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
    bytes.push(Number(rest));
    this.raw(Uint8Array.from(bytes));
  }

  double(value: number): void {
    const start = this.#reserve(8);
    new DataView(this.#buffer.buffer, start, 8).setFloat64(0, value, true);
  }

  tag(number: number, wire: number): void {
    this.varint(number * 8 + wire);
  }

  /** What was written since `before` becomes the value of a field. */
  close(number: number, before: number): void {
    this.varint(this.size - before);
    this.tag(number, Wire.bytes);
  }

  textField(number: number, text: string): void {
    const before = this.size;
    this.text(text);
    this.close(number, before);
  }

  intField(number: number, value: number): void {
    this.varint(value);
    this.tag(number, Wire.varint);
  }

  finish(): Uint8Array {
    return this.#buffer.slice(this.#at);
  }
}
