/**
 * The few parts of protobuf that the gRPC services need which we call: varints and length-delimited
 * fields. Messages are read into `Fields` and written with `Writer`; what a field means stands with
 * the caller.
 */

const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class ProtoError extends Error {
  override name = "ProtoError";
}

interface Varint {
  value: number;
  next: number;
}

/** Seven bytes hold 49 bits, which a number holds exactly; more are rare and go through BigInt. */
const PLAIN_BYTES_MAX = 7;
const VARINT_BYTES_MAX = 10;
/** Most messages are small; one that is not grows by doubling. */
const WRITER_BYTES_FIRST = 64;

function longVarint(bytes: Uint8Array, start: number): Varint {
  let value = 0n;
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw new ProtoError("varint cut short");
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value: Number(BigInt.asIntN(64, value)), next: start + i + 1 };
  }
  throw new ProtoError("varint longer than 10 bytes");
}

function readVarint(bytes: Uint8Array, start: number): Varint {
  let value = 0;
  let scale = 1;
  for (let i = 0; i < PLAIN_BYTES_MAX; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw new ProtoError("varint cut short");
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, next: start + i + 1 };
    scale *= 128;
  }
  return longVarint(bytes, start);
}

/** Where the varint that begins here ends. */
function pastVarint(bytes: Uint8Array, start: number): number {
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = bytes[start + i];
    if (byte === undefined) throw new ProtoError("varint cut short");
    if (byte < 0x80) return start + i + 1;
  }
  throw new ProtoError("varint longer than 10 bytes");
}

/** Numbers that are kept for each value of a message: its field, its type, its start, its end. */
const SLOTS = 4;
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/** One message: where its values are; each is decoded when it is asked for. */
export class Fields {
  readonly #bytes: Uint8Array;
  readonly #places: number[] = [];

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    let at = 0;
    while (at < bytes.length) {
      const tag = readVarint(bytes, at);
      const wire = tag.value % 8;
      at = this.#pass(tag.next, (tag.value - wire) / 8, wire);
    }
  }

  #pass(at: number, field: number, wire: number): number {
    const bytes = this.#bytes;
    let start = at;
    let end: number;
    if (wire === VARINT) end = pastVarint(bytes, at);
    else if (wire === FIXED64) end = at + 8;
    else if (wire === FIXED32) end = at + 4;
    else if (wire === BYTES) {
      const length = readVarint(bytes, at);
      if (length.value < 0) throw new ProtoError("field cut short");
      start = length.next;
      end = start + length.value;
    } else throw new ProtoError(`unknown wire type ${wire}`);
    if (end > bytes.length) throw new ProtoError("field cut short");
    this.#places.push(field, wire, start, end);
    return end;
  }

  /** Where the field's last value stands, of those that are varints or of those that are not. */
  #last(field: number, varint: boolean): number {
    const places = this.#places;
    for (let i = places.length - SLOTS; i >= 0; i -= SLOTS) {
      if (places[i] === field && (places[i + 1] === VARINT) === varint) return i;
    }
    return -1;
  }

  #slice(place: number): Uint8Array {
    return this.#bytes.subarray(this.#places[place + 2], this.#places[place + 3]);
  }

  /** The field's bytes, one for each time it occurs. */
  all(field: number): Uint8Array[] {
    const places = this.#places;
    const found: Uint8Array[] = [];
    for (let i = 0; i < places.length; i += SLOTS) {
      if (places[i] === field && places[i + 1] !== VARINT) found.push(this.#slice(i));
    }
    return found;
  }

  bytes(field: number): Uint8Array | undefined {
    const place = this.#last(field, false);
    return place < 0 ? undefined : this.#slice(place);
  }

  text(field: number): string {
    const bytes = this.bytes(field);
    return bytes === undefined ? "" : decoder.decode(bytes);
  }

  number(field: number): number {
    const place = this.#last(field, true);
    return place < 0 ? 0 : readVarint(this.#bytes, this.#places[place + 2] ?? 0).value;
  }

  message(field: number): Fields | undefined {
    const bytes = this.bytes(field);
    return bytes === undefined ? undefined : new Fields(bytes);
  }

  /** A `map<string, string>`. */
  map(field: number): Record<string, string> {
    const entries = this.all(field).map((bytes) => new Fields(bytes));
    return Object.fromEntries(entries.map((entry) => [entry.text(1), entry.text(2)]));
  }

  /** A `google.protobuf.Timestamp` in milliseconds; undefined when it is not set. */
  timeMs(field: number): number | undefined {
    const time = this.message(field);
    if (time === undefined) return undefined;
    const ms = time.number(1) * 1000 + Math.floor(time.number(2) / 1e6);
    // Go's zero time is year 1.
    return ms < 0 ? undefined : ms;
  }
}

/** Builds one message. Zero values are left out, as proto3 does. */
export class Writer {
  #out: Buffer = Buffer.allocUnsafe(WRITER_BYTES_FIRST);
  #size = 0;

  /** Makes room for so many more bytes. */
  #grow(more: number): void {
    const wanted = this.#size + more;
    if (wanted <= this.#out.length) return;
    const out = Buffer.allocUnsafe(Math.max(wanted, this.#out.length * 2));
    this.#out.copy(out, 0, 0, this.#size);
    this.#out = out;
  }

  #varint(value: number): void {
    this.#grow(VARINT_BYTES_MAX);
    if (value < 0) this.#negative(value);
    else this.#positive(value);
  }

  #positive(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#out[this.#size++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#out[this.#size++] = rest;
  }

  #negative(value: number): void {
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest >= 0x80n; rest >>= 7n) this.#out[this.#size++] = Number(rest & 0x7fn) | 0x80;
    this.#out[this.#size++] = Number(rest);
  }

  number(field: number, value: number): this {
    if (value === 0) return this;
    this.#varint(field * 8);
    this.#varint(value);
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.number(field, value ? 1 : 0);
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint(field * 8 + BYTES);
    this.#varint(value.length);
    this.#grow(value.length);
    this.#out.set(value, this.#size);
    this.#size += value.length;
    return this;
  }

  text(field: number, value: string): this {
    return value === "" ? this : this.bytes(field, encoder.encode(value));
  }

  texts(field: number, values: readonly string[]): this {
    for (const value of values) this.bytes(field, encoder.encode(value));
    return this;
  }

  /** A `map<string, string>`. */
  map(field: number, values: Readonly<Record<string, string>>): this {
    for (const [key, value] of Object.entries(values)) {
      this.bytes(field, new Writer().text(1, key).text(2, value).done());
    }
    return this;
  }

  /** A `google.protobuf.Any`. */
  any(field: number, typeUrl: string, value: Uint8Array): this {
    return this.bytes(field, new Writer().text(1, typeUrl).bytes(2, value).done());
  }

  done(): Uint8Array {
    return this.#out.subarray(0, this.#size);
  }
}
