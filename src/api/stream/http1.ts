/**
 * One HTTP/1.1 request over a channel of bytes: how the proxy subresources speak to a pod through
 * its node.
 */
import type { Channel } from "#base/channel.ts";
import { isBodiless, statusOf } from "#base/httpanswer.ts";
import {
  checkCoding,
  chunkSizeOf,
  FRAMING_HEADERS,
  fieldValueOf,
  HOP_HEADERS,
  lengthOf,
  linesOf,
  nameOf,
} from "#base/httphead.ts";

const encoder = new TextEncoder();
const HEAD_BYTES_MAX = 64 * 1024;

/** Bytes of a channel, read by line or by count. */
class Reader {
  readonly #from: AsyncIterator<Uint8Array>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(channel: Channel) {
    this.#from = channel.messages[Symbol.asyncIterator]();
  }

  async #more(): Promise<boolean> {
    const next = await this.#from.next();
    if (next.done === true) return false;
    this.#rest = Buffer.concat([this.#rest, next.value]);
    return true;
  }

  /** Up to and without the mark. @throws Error where it does not come. */
  async until(mark: string): Promise<string> {
    for (;;) {
      const at = this.#rest.indexOf(mark);
      if (at >= 0) {
        const text = this.#rest.toString("latin1", 0, at);
        this.#rest = this.#rest.subarray(at + mark.length);
        return text;
      }
      if (this.#rest.length > HEAD_BYTES_MAX) throw new Error("malformed HTTP response");
      if (!(await this.#more())) throw new Error("EOF");
    }
  }

  /** At most `max` bytes; undefined at the end. */
  async some(max: number): Promise<Uint8Array | undefined> {
    if (this.#rest.length === 0 && !(await this.#more())) return undefined;
    const part = this.#rest.subarray(0, max);
    this.#rest = this.#rest.subarray(part.length);
    return new Uint8Array(part);
  }
}

async function* chunked(reader: Reader): AsyncGenerator<Uint8Array> {
  for (;;) {
    const size = chunkSizeOf(await reader.until("\r\n"));
    if (size === 0) return;
    for (let left = size; left > 0; ) {
      const part = await reader.some(left);
      if (part === undefined) throw new Error("unexpected EOF");
      left -= part.length;
      yield part;
    }
    if ((await reader.until("\r\n")) !== "") throw new Error("malformed chunked encoding");
  }
}

async function* counted(reader: Reader, length: number): AsyncGenerator<Uint8Array> {
  for (let left = length; left > 0; ) {
    const part = await reader.some(left);
    if (part === undefined) return;
    left -= part.length;
    yield part;
  }
}

/** Headers of an answer, and how its body ends. */
interface Head {
  readonly headers: Headers;
  readonly chunked: boolean;
  /** Without it the body ends with the connection. */
  readonly length: number | undefined;
}

function headOfAnswer(lines: readonly string[]): Head {
  const headers = new Headers();
  let chunked = false;
  let length: number | undefined;
  for (const line of lines) {
    const name = nameOf(line);
    const value = fieldValueOf(line, name);
    if (name === "transfer-encoding") checkCoding(value);
    if (name === "content-length" && length !== undefined) throw new Error("two lengths");
    chunked ||= name === "transfer-encoding";
    if (name === "content-length") length = lengthOf(value);
    if (!HOP_HEADERS.has(name)) headers.append(name, value);
  }
  if (chunked && length !== undefined) throw new Error("a length and a transfer encoding");
  return { headers, chunked, length };
}

const bodyOf = (reader: Reader, { chunked: inChunks, length }: Head): AsyncGenerator<Uint8Array> =>
  inChunks ? chunked(reader) : counted(reader, length ?? Number.POSITIVE_INFINITY);

function streamOf(channel: Channel, parts: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      try {
        const next = await parts.next();
        if (next.done !== true) return controller.enqueue(next.value);
        controller.close();
        channel.abort("done");
      } catch (error) {
        channel.abort("failed");
        controller.error(error);
      }
    },
    cancel: () => channel.abort("the client left"),
  });
}

export interface HttpRequest {
  readonly method: string;
  readonly pathAndQuery: string;
  readonly host: string;
  readonly headers: Headers;
  readonly body: Uint8Array | undefined;
}

function headOf(request: HttpRequest): Uint8Array {
  const lines = [`${request.method} ${request.pathAndQuery} HTTP/1.1`, `host: ${request.host}`];
  request.headers.forEach((value, name) => {
    if (HOP_HEADERS.has(name) || FRAMING_HEADERS.has(name)) return;
    lines.push(`${name}: ${value}`);
  });
  if (request.body !== undefined) lines.push(`content-length: ${request.body.length}`);
  lines.push("connection: close", "", "");
  return encoder.encode(lines.join("\r\n"));
}

/** @throws Error where the other side does not answer with HTTP. */
export async function requestOver(channel: Channel, request: HttpRequest): Promise<Response> {
  await channel.send(headOf(request));
  if (request.body !== undefined && request.body.length > 0) await channel.send(request.body);
  const reader = new Reader(channel);
  let status = 100;
  let head: Head = { headers: new Headers(), chunked: false, length: undefined };
  while (status < 200) {
    const [line = "", ...fields] = linesOf(await reader.until("\r\n\r\n"));
    const said = statusOf(line);
    if (said === undefined || said === 101) throw new Error("malformed HTTP response");
    status = said;
    head = headOfAnswer(fields);
  }
  const parts = bodyOf(reader, head);
  const bodiless = isBodiless(request.method, status);
  if (bodiless) channel.abort("done");
  const body = bodiless ? null : streamOf(channel, parts);
  return new Response(body, { status, headers: head.headers });
}
