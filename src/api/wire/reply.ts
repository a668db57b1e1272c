/** Writes a Response to a connection: whole where its body is known, else in chunks. */

import { STATUS_CODES } from "node:http";
import { type Outbox, outboxOf, type Sink } from "#api/outbox.ts";
import { type Piece, piecesOf, type Slice, slicesOf } from "#api/slices.ts";
import { plainHeadersOf, wholeBodyOf } from "#api/whole.ts";
import { Bytes, bytesMaxOf } from "#api/wire/bytes.ts";
import type { Writer } from "#api/wire/writer.ts";
import { nextTurn } from "#base/turn.ts";

export interface ReplyOptions {
  /** The request was HEAD: say everything but the body. */
  readonly head: boolean;
  readonly keepAlive: boolean;
  /** HTTP/1.0 knows no chunks: there the end of the connection is the end of the body. */
  readonly chunks: boolean;
  /** RFC 9110 date of now. */
  readonly date: string;
}

/** These lines are the connection's own business. */
const OWN = new Set(["connection", "content-length", "transfer-encoding", "keep-alive", "date"]);
const END = Buffer.from("0\r\n\r\n");

function linesOf(headers: Headers): string {
  let text = "";
  headers.forEach((value, name) => {
    if (!OWN.has(name)) text += `${name}: ${value}\r\n`;
  });
  return text;
}

/** Most answers share one record. */
const known = new WeakMap<object, string>();

function plainLines(record: Readonly<Record<string, string>>): string {
  let text = known.get(record);
  if (text === undefined) {
    text = linesOf(new Headers(record));
    known.set(record, text);
  }
  return text;
}

function headOf(response: Response, options: ReplyOptions, length: string): string {
  const { status } = response;
  const plain = plainHeadersOf(response);
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
  text += plain === undefined ? linesOf(response.headers) : plainLines(plain);
  text += `date: ${options.date}\r\n`;
  if (!options.keepAlive) text += "connection: close\r\n";
  return `${text}${length}\r\n`;
}

const bodiless = (status: number): boolean => status === 204 || status === 304 || status < 200;

/** One event goes to many watchers: its frame is made once. */
const frames = new WeakMap<Uint8Array, Buffer>();

function frameOf(chunk: Uint8Array): Buffer {
  let frame = frames.get(chunk);
  if (frame === undefined) {
    frame = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CRLF]);
    frames.set(chunk, frame);
  }
  return frame;
}

const CRLF = Buffer.from("\r\n");

/** So much goes to a socket that takes all before others get their turn. */
const IN_ROW_BYTES = 256 * 1024;

async function stream(
  writer: Writer,
  reader: Pick<ReadableStreamDefaultReader<Uint8Array>, "read">,
  framed: boolean,
): Promise<number> {
  let size = 0;
  let inRow = 0;
  for (;;) {
    const next = await reader.read();
    if (writer.closed || next.done) break;
    if (next.value.length === 0) continue;
    size += next.value.length;
    writer.write(framed ? frameOf(next.value) : next.value);
    inRow += next.value.length;
    if (!writer.ready) await writer.drained();
    else if (inRow > IN_ROW_BYTES) await nextTurn();
    else continue;
    inRow = 0;
  }
  if (framed) writer.write(END);
  return size;
}

function bytesOfSlice(slice: Slice): Bytes {
  const bytes = new Bytes(bytesMaxOf(slice));
  bytes.addSlice(slice);
  return bytes;
}

function bytesOfPiece(piece: Piece): Bytes {
  const size = piece.reduce((sum, part) => sum + part.length, 0);
  const bytes = new Bytes(size + CRLF.length);
  for (const part of piece) bytes.addBytes(part);
  return bytes;
}

/** Hands bytes to the socket; they are free again when it took them, or is gone. */
async function send(writer: Writer, bytes: Bytes): Promise<void> {
  writer.write(bytes.view());
  if (!writer.ready) await writer.drained();
  bytes.release();
}

/** A body in parts: each becomes bytes when the client is ready for it. */
interface Parts<T> {
  readonly parts: Iterator<T>;
  readonly bytesOf: (part: T) => Bytes;
}

/** Others get their turn between two parts, also where the client takes all at once. */
async function replyParts<T>(
  writer: Writer,
  response: Response,
  { parts, bytesOf }: Parts<T>,
  options: ReplyOptions,
): Promise<void> {
  const first = parts.next();
  if (first.done === true) return;
  let next = parts.next();
  let bytes = bytesOf(first.value);
  if (next.done === true) return sendWhole(writer, response, bytes, options);
  if (options.chunks) bytes.frame();
  // One packet with the first part of what it announces.
  putHead(writer, bytes, headOf(response, options, options.chunks ? CHUNKED : ""));
  await send(writer, bytes);
  while (next.done !== true) {
    await nextTurn();
    if (writer.closed) return;
    bytes = bytesOf(next.value);
    if (options.chunks) bytes.frame();
    await send(writer, bytes);
    next = parts.next();
  }
  if (options.chunks) writer.write(END);
}

function putHead(writer: Writer, bytes: Bytes, head: string): void {
  if (!bytes.putBefore(head)) writer.write(head);
}

function sendWhole(
  writer: Writer,
  response: Response,
  bytes: Bytes,
  options: ReplyOptions,
): Promise<void> {
  putHead(writer, bytes, headOf(response, options, `content-length: ${bytes.size}\r\n`));
  return send(writer, bytes);
}

/** Events as they come: one that goes to many costs each of them a write, and no stream. */
async function replyEvents(writer: Writer, outbox: Outbox, framed: boolean): Promise<void> {
  await outbox.sendTo(framed ? new FramedSink(writer) : writer);
  if (framed) writer.write(END);
}

class FramedSink implements Sink {
  readonly #writer: Writer;

  constructor(writer: Writer) {
    this.#writer = writer;
  }

  get ready(): boolean {
    return this.#writer.ready;
  }

  write(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#writer.write(frameOf(bytes));
  }

  drained(): Promise<void> {
    return this.#writer.drained();
  }

  whenGone(callback: () => void): void {
    this.#writer.whenGone(callback);
  }
}

const CHUNKED = "transfer-encoding: chunked\r\n";

/** Writes an answer whose body is at hand; false where it is not. */
export function replyWhole(writer: Writer, response: Response, options: ReplyOptions): boolean {
  const whole = wholeBodyOf(response);
  if (whole === undefined) return false;
  const size = typeof whole === "string" ? Buffer.byteLength(whole) : whole.length;
  const head = headOf(response, options, `content-length: ${size}\r\n`);
  if (options.head) writer.write(head);
  else if (typeof whole === "string") writer.write(head + whole);
  else writer.write(Buffer.concat([Buffer.from(head), whole]));
  return true;
}

/** Undefined where the body is not in parts. */
function sendParts(
  writer: Writer,
  response: Response,
  options: ReplyOptions,
): Promise<void> | undefined {
  const slices = slicesOf(response);
  if (slices !== undefined) {
    return replyParts(writer, response, { parts: slices, bytesOf: bytesOfSlice }, options);
  }
  const pieces = piecesOf(response);
  if (pieces === undefined) return undefined;
  return replyParts(writer, response, { parts: pieces, bytesOf: bytesOfPiece }, options);
}

/**
 * Resolves when the answer was handed to the socket, or the client is gone. Ends the connection
 * where the body fails on its way: there is no other way to say that.
 */
export async function reply(
  writer: Writer,
  response: Response,
  options: ReplyOptions,
): Promise<void> {
  if (replyWhole(writer, response, options)) return;
  const outbox = outboxOf(response);
  if (outbox !== undefined && !options.head) {
    writer.write(headOf(response, options, options.chunks ? CHUNKED : ""));
    return replyEvents(writer, outbox, options.chunks).catch(() => writer.destroy());
  }
  const { body, status } = response;
  if (body === null || options.head || bodiless(status)) {
    const silent = options.head || bodiless(status);
    writer.write(headOf(response, options, silent ? "" : "content-length: 0\r\n"));
    await body?.cancel();
    return;
  }
  const inParts = sendParts(writer, response, options);
  if (inParts !== undefined) return inParts.catch(() => writer.destroy());
  const length = response.headers.get("content-length");
  const framed = length === null && options.chunks;
  const chunks = framed ? CHUNKED : "";
  writer.write(
    headOf(response, options, length === null ? chunks : `content-length: ${length}\r\n`),
  );
  try {
    const reader = body.getReader();
    writer.whenGone(() => void reader.cancel().catch(() => {}));
    const size = await stream(writer, reader, framed);
    if (length !== null && size !== Number(length)) writer.destroy();
  } catch {
    writer.destroy();
  }
}
