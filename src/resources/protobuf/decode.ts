/** From protobuf to what the JSON of the same object would be. */
import { limits } from "#base/limits.ts";
import { setMember } from "#resources/patch/values.ts";
import { type Field, type Message, messageAt, messageNamed } from "#resources/protobuf/table.ts";
import { eachField, ProtobufError, Reader, textOf, Wire } from "#resources/protobuf/wire.ts";
import type { Json } from "#resources/types.gen.ts";

type Fields = { [key: string]: Json };

export const SCHEMA_PROPS =
  "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";

/** Numbers and bytes by field number; the last one wins. */
function loose(bytes: Uint8Array): Map<number, number | Uint8Array> {
  const out = new Map<number, number | Uint8Array>();
  eachField(bytes, (number, reader, wire) => {
    if (wire === Wire.bytes) out.set(number, reader.bytes());
    else if (wire === Wire.varint) out.set(number, reader.varint());
    else return false;
    return true;
  });
  return out;
}

export class Fragment {
  readonly #fields: Map<number, number | Uint8Array>;
  constructor(bytes: Uint8Array) {
    this.#fields = loose(bytes);
  }
  number(at: number): number {
    const value = this.#fields.get(at);
    return typeof value === "number" ? value : 0;
  }
  bytes(at: number): Uint8Array {
    const value = this.#fields.get(at);
    return value instanceof Uint8Array ? value : new Uint8Array(0);
  }
  text(at: number): string {
    return textOf(this.bytes(at));
  }
}

/** Undefined for the zero time, which JSON has as null. */
function timeOf(bytes: Uint8Array, micro: boolean): Json | undefined {
  if (bytes.length === 0) return undefined;
  const fields = new Fragment(bytes);
  const date = new Date(fields.number(1) * 1000);
  if (Number.isNaN(date.getTime())) throw new ProtobufError("time out of range");
  const seconds = date.toISOString().slice(0, 19);
  if (seconds === "0001-01-01T00:00:00") return undefined;
  const digits = String(Math.floor(fields.number(2) / 1000)).padStart(6, "0");
  return micro ? `${seconds}.${digits}Z` : `${seconds}Z`;
}

/** Nanoseconds as Go prints them, `1h0m0.5s`. */
function durationText(nanos: number): string {
  if (nanos === 0) return "0s";
  const sign = nanos < 0 ? "-" : "";
  const seconds = Math.abs(nanos) / 1e9;
  if (seconds < 1e-6) return `${sign}${seconds * 1e9}ns`;
  if (seconds < 1e-3) return `${sign}${seconds * 1e6}µs`;
  if (seconds < 1) return `${sign}${seconds * 1e3}ms`;
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = `${Number((seconds % 60).toFixed(9))}s`;
  if (hours > 0) return `${sign}${hours}h${minutes}m${rest}`;
  return minutes > 0 ? `${sign}${minutes}m${rest}` : `${sign}${rest}`;
}

/** What a RawExtension holds: JSON, or an object in its own envelope. */
export type RawReader = (bytes: Uint8Array) => Json;

export class Decoder {
  readonly #raw: RawReader;
  constructor(raw: RawReader) {
    this.#raw = raw;
  }

  message(message: Message, bytes: Uint8Array, depth: number): Fields {
    if (depth > limits.objectDepthMax) throw new ProtobufError("exceeded max depth");
    const out: Fields = {};
    eachField(bytes, (number, reader, wire) => {
      const field = message.fields.get(number);
      if (field === undefined) return false;
      this.#put(out, field, reader, wire, depth + 1);
      return true;
    });
    return out;
  }

  #put(out: Fields, field: Field, reader: Reader, wire: number, depth: number): void {
    if (field.map) {
      const [key, value] = this.#entry(field, reader.bytes(), depth);
      const map = (out[field.name] ?? {}) as Fields;
      setMember(map, key, value);
      out[field.name] = map;
      return;
    }
    if (field.list) {
      const list = (out[field.name] ?? []) as Json[];
      if (isPacked(field, wire)) unpack(field, reader.bytes(), list);
      else list.push(this.#value(field, reader, wire, depth) ?? null);
      out[field.name] = list;
      return;
    }
    const value = this.#value(field, reader, wire, depth);
    if (field.name === "") Object.assign(out, value);
    else if (value !== undefined && (field.pointer || shown(field, value))) out[field.name] = value;
  }

  #entry(field: Field, bytes: Uint8Array, depth: number): [string, Json] {
    let key = "";
    let value: Json | undefined;
    eachField(bytes, (number, reader, wire) => {
      if (number === 1) key = reader.text();
      else if (number === 2) value = this.#value(field, reader, wire, depth);
      else return false;
      return true;
    });
    return [key, value ?? zeroOf(field)];
  }

  #value(field: Field, reader: Reader, wire: number, depth: number): Json | undefined {
    switch (field.type) {
      case "b":
        return reader.varint() !== 0;
      case "i":
        return reader.varint();
      case "d":
        return reader.double();
      default:
        if (wire !== Wire.bytes) {
          throw new ProtobufError(`proto: wrong wireType = ${wire} for field ${field.name}`);
        }
        return this.#special(field.type, reader.bytes(), depth);
    }
  }

  #special(type: string, bytes: Uint8Array, depth: number): Json | undefined {
    switch (type) {
      case "s":
        return textOf(bytes);
      case "y":
        return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
      case "t":
      case "T":
        return timeOf(bytes, type === "T");
      case "D":
        return durationText(new Fragment(bytes).number(1));
      case "q":
        return new Fragment(bytes).text(1) || "0";
      case "o": {
        const fields = new Fragment(bytes);
        return fields.number(1) === 1 ? fields.text(3) : fields.number(2);
      }
      case "r": {
        const raw = new Fragment(bytes).bytes(1);
        return raw.length === 0 ? undefined : this.#raw(raw);
      }
      case "I":
        return this.#parts(bytes, 1, (part) => textOf(part));
      case "A":
      case "B":
      case "S":
        return this.#either(type, bytes, depth);
      default:
        return this.message(messageAt(Number(type)), bytes, depth);
    }
  }

  #parts(bytes: Uint8Array, at: number, read: (part: Uint8Array) => Json): Json[] {
    const out: Json[] = [];
    eachField(bytes, (number, reader) => {
      if (number !== at) return false;
      out.push(read(reader.bytes()));
      return true;
    });
    return out;
  }

  /** Places in the schema of a custom resource where one of two things may stand. */
  #either(type: "A" | "B" | "S", bytes: Uint8Array, depth: number): Json {
    const props = messageNamed(SCHEMA_PROPS);
    if (props === undefined) throw new ProtobufError("no message for a schema");
    const schemaOf = (part: Uint8Array): Json => this.message(props, part, depth);
    const [schema] = this.#parts(bytes, type === "B" ? 2 : 1, schemaOf);
    if (schema !== undefined && type !== "B") return schema;
    if (type === "B") return schema ?? new Fragment(bytes).number(1) !== 0;
    return this.#parts(bytes, 2, type === "A" ? schemaOf : textOf);
  }
}

const SCALARS = "bid";

const isPacked = (field: Field, wire: number): boolean =>
  wire === Wire.bytes && SCALARS.includes(field.type);

/** Numbers one after another without tags. */
function unpack(field: Field, bytes: Uint8Array, list: Json[]): void {
  const reader = new Reader(bytes);
  while (!reader.done) {
    if (field.type === "d") list.push(reader.double());
    else list.push(field.type === "b" ? reader.varint() !== 0 : reader.varint());
  }
}

function shown(field: Field, value: Json): boolean {
  if (value === "" || value === 0 || value === false) return field.showsZero;
  if (typeof value !== "object" || value === null || Array.isArray(value)) return true;
  for (const _ in value) return true;
  return false;
}

function zeroOf(field: Field): Json {
  switch (field.type) {
    case "s":
    case "y":
      return "";
    case "b":
      return false;
    case "i":
    case "d":
      return 0;
    case "q":
      return "0";
    case "I":
      return [];
    default:
      return {};
  }
}
