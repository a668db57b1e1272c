/** SPDY/3.1 frames as data, from bytes and to bytes; headers are left packed. Pure. */
import { Intake } from "#base/intake.ts";
import { limits } from "#base/limits.ts";

export type Frame =
  | { type: "data"; stream: number; fin: boolean; payload: Uint8Array }
  | { type: "synStream"; stream: number; fin: boolean; block: Uint8Array }
  | { type: "synReply"; stream: number; fin: boolean; block: Uint8Array }
  | { type: "headers"; stream: number; fin: boolean; block: Uint8Array }
  | { type: "rst"; stream: number; status: number }
  | { type: "ping"; id: number }
  | { type: "goAway" }
  | { type: "other" };

const SYN_STREAM = 1;
const SYN_REPLY = 2;
const RST_STREAM = 3;
const PING = 6;
const GOAWAY = 7;
const HEADERS = 8;
const FIN = 1;
const HEAD_BYTES = 8;
const STREAM_MASK = 0x7fffffff;

function control(type: number, fin: boolean, body: Buffer): Frame {
  const stream = body.length >= 4 ? body.readUInt32BE(0) & STREAM_MASK : 0;
  switch (type) {
    case SYN_STREAM:
      return { type: "synStream", stream, fin, block: body.subarray(10) };
    case SYN_REPLY:
      return { type: "synReply", stream, fin, block: body.subarray(4) };
    case HEADERS:
      return { type: "headers", stream, fin, block: body.subarray(4) };
    case RST_STREAM:
      return { type: "rst", stream, status: body.length >= 8 ? body.readUInt32BE(4) : 0 };
    case PING:
      return { type: "ping", id: body.length >= 4 ? body.readUInt32BE(0) : 0 };
    case GOAWAY:
      return { type: "goAway" };
    default:
      return { type: "other" };
  }
}

/** Takes bytes as they come and gives whole frames. @throws Error for a frame that is too long. */
export class FrameReader {
  readonly #input = new Intake();

  /** Frames hold memory of the input: each is to be used before the next is asked for. */
  *push(bytes: Uint8Array): Generator<Frame> {
    this.#input.append(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length));
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) yield frame;
  }

  #next(): Frame | undefined {
    const { bytes } = this.#input;
    if (bytes.length < HEAD_BYTES) return undefined;
    const length = bytes.readUIntBE(5, 3);
    if (length > limits.spdyFrameBytesMax) throw new Error("SPDY frame too long");
    if (bytes.length < HEAD_BYTES + length) return undefined;
    const body = bytes.subarray(HEAD_BYTES, HEAD_BYTES + length);
    this.#input.skip(HEAD_BYTES + length);
    const first = bytes.readUInt32BE(0);
    const fin = ((bytes[4] ?? 0) & FIN) !== 0;
    if (first >>> 31 === 0) return { type: "data", stream: first, fin, payload: body };
    return control(first & 0xffff, fin, body);
  }
}

function frame(first: number, flags: number, body: Uint8Array): Uint8Array {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(first >>> 0, 0);
  head.writeUInt8(flags, 4);
  head.writeUIntBE(body.length, 5, 3);
  return Buffer.concat([head, body]);
}

const controlWord = (type: number): number => (0x80030000 | type) >>> 0;

const word = (value: number): Buffer => {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value >>> 0);
  return out;
};

export const encodeData = (stream: number, payload: Uint8Array, fin: boolean): Uint8Array =>
  frame(stream, fin ? FIN : 0, payload);

export const encodeSynReply = (stream: number, block: Uint8Array): Uint8Array =>
  frame(controlWord(SYN_REPLY), 0, Buffer.concat([word(stream), block]));

export const encodeSynStream = (stream: number, block: Uint8Array): Uint8Array =>
  frame(controlWord(SYN_STREAM), 0, Buffer.concat([word(stream), word(0), Buffer.alloc(2), block]));

export const encodeReset = (stream: number, status: number): Uint8Array =>
  frame(controlWord(RST_STREAM), 0, Buffer.concat([word(stream), word(status)]));

export const encodePing = (id: number): Uint8Array => frame(controlWord(PING), 0, word(id));

export type Headers = Record<string, string>;

/** A name/value block; names in lower case. */
export function encodeHeaders(headers: Headers): Buffer {
  const parts = [word(Object.keys(headers).length)];
  for (const [name, value] of Object.entries(headers)) {
    for (const text of [name.toLowerCase(), value]) {
      const bytes = Buffer.from(text);
      parts.push(word(bytes.length), bytes);
    }
  }
  return Buffer.concat(parts);
}

export function decodeHeaders(block: Buffer): Headers {
  const headers: Headers = {};
  let at = 4;
  const text = (): string => {
    const length = block.readUInt32BE(at);
    const value = block.toString("utf8", at + 4, at + 4 + length);
    at += 4 + length;
    return value;
  };
  for (let left = block.readUInt32BE(0); left > 0; left--) {
    const name = text();
    headers[name.toLowerCase()] = text();
  }
  return headers;
}
