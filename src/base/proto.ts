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

function longVarint(bytes: Uint8Array, start: number): Varint {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
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

/** One decoded message: for each field number the values in order. */
export class Fields {
  readonly #values = new Map<number, Array<number | Uint8Array>>();

  constructor(bytes: Uint8Array) {
    let at = 0;
    while (at < bytes.length) {
      const tag = readVarint(bytes, at);
      const wire = tag.value % 8;
      at = this.#read(bytes, tag.next, (tag.value - wire) / 8, wire);
    }
  }

  #read(bytes: Uint8Array, at: number, field: number, wire: number): number {
    if (wire === 0) {
      const varint = readVarint(bytes, at);
      this.#add(field, varint.value);
      return varint.next;
    }
    const fixed = wire === 1 ? 8 : wire === 5 ? 4 : undefined;
    if (fixed === undefined && wire !== 2) throw new ProtoError(`unknown wire type ${wire}`);
    const length = fixed === undefined ? readVarint(bytes, at) : { value: fixed, next: at };
    const end = length.next + length.value;
    if (length.value < 0 || end > bytes.length) throw new ProtoError("field cut short");
    this.#add(field, bytes.subarray(length.next, end));
    return end;
  }

  #add(field: number, value: number | Uint8Array): void {
    const values = this.#values.get(field);
    if (values === undefined) this.#values.set(field, [value]);
    else values.push(value);
  }

  /** The field's bytes, one for each time it occurs. */
  all(field: number): Uint8Array[] {
    return (this.#values.get(field) ?? []).filter((value) => value instanceof Uint8Array);
  }

  bytes(field: number): Uint8Array | undefined {
    return this.all(field).at(-1);
  }

  text(field: number): string {
    const bytes = this.bytes(field);
    return bytes === undefined ? "" : decoder.decode(bytes);
  }

  number(field: number): number {
    const value = this.#values.get(field)?.at(-1);
    return typeof value === "number" ? value : 0;
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
  readonly #parts: Uint8Array[] = [];

  #varint(value: bigint): void {
    const out: number[] = [];
    let rest = BigInt.asUintN(64, value);
    while (rest >= 0x80n) {
      out.push(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    out.push(Number(rest));
    this.#parts.push(Uint8Array.from(out));
  }

  number(field: number, value: number): this {
    if (value === 0) return this;
    this.#varint(BigInt(field << 3));
    this.#varint(BigInt(value));
    return this;
  }

  bool(field: number, value: boolean): this {
    return this.number(field, value ? 1 : 0);
  }

  bytes(field: number, value: Uint8Array): this {
    this.#varint(BigInt((field << 3) | 2));
    this.#varint(BigInt(value.length));
    this.#parts.push(value);
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
    return Buffer.concat(this.#parts);
  }
}
