/**
 * Kubernetes' protobuf form of built-in kinds, `application/vnd.kubernetes.protobuf`: four bytes of
 * magic, an envelope with kind and version, and the message. Custom resources and Tables have none.
 * https://kubernetes.io/docs/reference/using-api/api-concepts/#protobuf-encoding
 */
import { Decoder, Fragment } from "#resources/protobuf/decode.ts";
import { writeMessage } from "#resources/protobuf/encode.ts";
import { type Message, messageOf } from "#resources/protobuf/table.ts";
import { ProtobufError, textOf, Writer } from "#resources/protobuf/wire.ts";
import type { Json } from "#resources/types.gen.ts";

export { ProtobufError } from "#resources/protobuf/wire.ts";

type Fields = { [key: string]: Json };

/** `k8s` and a zero. */
const MAGIC = Uint8Array.of(0x6b, 0x38, 0x73, 0);

const hasMagic = (bytes: Uint8Array): boolean => MAGIC.every((byte, at) => bytes[at] === byte);

function rawValue(bytes: Uint8Array): Json {
  if (hasMagic(bytes)) return decodeProtobuf(bytes);
  try {
    return JSON.parse(textOf(bytes)) as Json;
  } catch (cause) {
    throw new ProtobufError("an embedded object is no JSON", { cause });
  }
}

const decoder = new Decoder(rawValue);

/** Whether objects of this kind have a protobuf form. */
export const hasProtobuf = (apiVersion: string, kind: string): boolean =>
  messageOf(apiVersion, kind) !== undefined;

function messageFor(apiVersion: string, kind: string): Message {
  const message = messageOf(apiVersion, kind);
  if (message !== undefined) return message;
  throw new ProtobufError(`no kind "${kind}" is registered for version "${apiVersion}"`);
}

/** What the JSON of the same object would be. Throws ProtobufError. */
export function decodeProtobuf(bytes: Uint8Array): Fields {
  if (!hasMagic(bytes)) {
    throw new ProtobufError(
      "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
    );
  }
  const unknown = new Fragment(bytes.subarray(MAGIC.length));
  if (unknown.text(3) !== "") throw new ProtobufError(`unknown encoding ${unknown.text(3)}`);
  const type = new Fragment(unknown.bytes(1));
  const [apiVersion, kind] = [type.text(1), type.text(2)];
  const object = decoder.message(messageFor(apiVersion, kind), unknown.bytes(2), 0);
  return { kind, apiVersion, ...object };
}

/**
 * The object must name its kind and version. Throws ProtobufError where that has no protobuf form.
 */
export function encodeProtobuf(object: object): Uint8Array {
  const writer = new Writer();
  writeEnvelope(writer, object);
  return writer.finish();
}

function writeEnvelope(writer: Writer, object: object): void {
  const fields = object as Fields;
  const apiVersion = String(fields["apiVersion"] ?? "");
  const kind = String(fields["kind"] ?? "");
  const message = messageFor(apiVersion, kind);
  // Go writes both, though they are empty.
  writer.textField(4, "");
  writer.textField(3, "");
  const body = writer.size;
  writeMessage(writer, message, fields);
  writer.close(2, body);
  const type = writer.size;
  writer.textField(2, kind);
  writer.textField(1, apiVersion);
  writer.close(1, type);
  writer.raw(MAGIC);
}

const FRAME_HEAD = 4;

/** One event of a watch, with its length before it: a frame of `…protobuf;stream=watch`. */
export function encodeWatchFrame(type: string, object: object): Uint8Array {
  const writer = new Writer();
  const extension = writer.size;
  writeEnvelope(writer, object);
  writer.close(1, extension);
  writer.close(2, extension);
  writer.textField(1, type);
  const event = writer.finish();
  const frame = new Uint8Array(FRAME_HEAD + event.length);
  new DataView(frame.buffer).setUint32(0, event.length);
  frame.set(event, FRAME_HEAD);
  return frame;
}
