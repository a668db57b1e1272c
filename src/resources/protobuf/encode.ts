/** From an object as JSON has it to protobuf. Zero values that Go would write too are left out. */
import { SCHEMA_PROPS } from "#resources/protobuf/decode.ts";
import { type Field, type Message, messageAt, messageNamed } from "#resources/protobuf/table.ts";
import { ProtobufError, Wire, type Writer } from "#resources/protobuf/wire.ts";
import type { Json } from "#resources/types.gen.ts";

type Fields = { readonly [key: string]: Json | undefined };

/** Writes the fields of a message, last first. */
export function writeMessage(writer: Writer, message: Message, object: Fields): void {
  for (const field of message.backwards) {
    if (field.name === "") writeSpread(writer, field, object);
    else {
      const value = object[field.name];
      if (value !== undefined && value !== null) writeField(writer, field, value);
    }
  }
}

/** A message whose fields stand among those of its parent. */
function writeSpread(writer: Writer, field: Field, object: Fields): void {
  const before = writer.size;
  writeMessage(writer, messageAt(Number(field.type)), object);
  if (writer.size > before) writer.close(field.number, before);
}

function writeField(writer: Writer, field: Field, value: Json): void {
  if (field.map) {
    const entries = Object.entries(value as Fields);
    for (const [key, child] of entries.sort(([a], [b]) => (a < b ? 1 : -1))) {
      const before = writer.size;
      writeValue(writer, field.type, 2, child ?? null);
      writer.textField(1, key);
      writer.close(field.number, before);
    }
  } else if (field.list) {
    if (!Array.isArray(value)) throw wrong(field, value);
    for (let i = value.length - 1; i >= 0; i--) {
      writeValue(writer, field.type, field.number, value[i] ?? null);
    }
  } else {
    writeValue(writer, field.type, field.number, value);
  }
}

const wrong = (field: Field, value: Json): ProtobufError =>
  new ProtobufError(`${field.name} cannot be ${JSON.stringify(value).slice(0, 80)}`);

function writeValue(writer: Writer, type: string, number: number, value: Json): void {
  switch (type) {
    case "s":
      writer.textField(number, String(value ?? ""));
      return;
    case "b":
      writer.intField(number, value === true ? 1 : 0);
      return;
    case "i":
      writer.intField(number, Number(value));
      return;
    case "d":
      writer.double(Number(value));
      writer.tag(number, Wire.fixed64);
      return;
    default: {
      const before = writer.size;
      if (value !== null) writeSpecial(writer, type, value);
      writer.close(number, before);
    }
  }
}

function writeSpecial(writer: Writer, type: string, value: Json): void {
  switch (type) {
    case "y":
      writer.raw(Buffer.from(String(value), "base64"));
      return;
    case "t":
    case "T":
      writeTime(writer, String(value));
      return;
    case "D":
      writer.intField(1, nanosOf(String(value)));
      return;
    case "q":
      writer.textField(1, String(value));
      return;
    case "o":
      if (typeof value === "number") writer.intField(2, value);
      else writer.textField(3, String(value));
      writer.intField(1, typeof value === "number" ? 0 : 1);
      return;
    case "r":
      writer.textField(1, JSON.stringify(value));
      return;
    case "I":
      writeTexts(writer, 1, value);
      return;
    case "A":
    case "B":
    case "S":
      writeEither(writer, type, value);
      return;
    default:
      writeMessage(writer, messageAt(Number(type)), value as Fields);
  }
}

function writeTime(writer: Writer, text: string): void {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new ProtobufError(`no time: ${text.slice(0, 40)}`);
  const digits = /\.(\d+)/.exec(text)?.[1] ?? "";
  const nanos = Number(digits.padEnd(9, "0").slice(0, 9));
  if (nanos !== 0) writer.intField(2, nanos);
  // Present although it may be zero: an empty message is Go's zero time, not 1970.
  writer.intField(1, Math.floor(ms / 1000));
}

const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

function nanosOf(text: string): number {
  let nanos = 0;
  for (const [, amount, unit = ""] of text.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
    nanos += Number(amount) * (UNITS[unit] ?? 0);
  }
  return Math.round(text.startsWith("-") ? -nanos : nanos);
}

function writeTexts(writer: Writer, number: number, value: Json): void {
  if (!Array.isArray(value)) return;
  for (let i = value.length - 1; i >= 0; i--) writer.textField(number, String(value[i]));
}

function writeEither(writer: Writer, type: "A" | "B" | "S", value: Json): void {
  const props = messageNamed(SCHEMA_PROPS);
  if (props === undefined) throw new ProtobufError("no message for a schema");
  const writeSchema = (number: number, schema: Json): void => {
    const before = writer.size;
    writeMessage(writer, props, schema as Fields);
    writer.close(number, before);
  };
  if (typeof value === "boolean") writer.intField(1, value ? 1 : 0);
  else if (!Array.isArray(value)) {
    writeSchema(type === "B" ? 2 : 1, value);
    if (type === "B") writer.intField(1, 1);
  } else if (type === "S") writeTexts(writer, 2, value);
  else for (let i = value.length - 1; i >= 0; i--) writeSchema(2, value[i] ?? {});
}
