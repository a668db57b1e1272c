/**
 * One HTTP/1.1 request over a channel of bytes: how the proxy subresources speak to a pod through
 * its node.
 */
import type { Channel } from "#base/channel.ts";
import { isBodiless, statusOf } from "#base/httpanswer.ts";

const encoder = new TextEncoder();
const HEAD_BYTES_MAX = 64 * 1024;
const HOP_HEADERS = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

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
    const size = Number.parseInt(await reader.until("\r\n"), 16);
    if (!Number.isInteger(size)) throw new Error("malformed chunked encoding");
    if (size === 0) return;
    for (let left = size; left > 0; ) {
      const part = await reader.some(left);
      if (part === undefined) throw new Error("unexpected EOF");
      left -= part.length;
      yield part;
    }
    await reader.until("\r\n");
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

function bodyOf(reader: Reader, headers: Headers): AsyncGenerator<Uint8Array> {
  if (/\bchunked\b/i.test(headers.get("transfer-encoding") ?? "")) return chunked(reader);
  const length = headers.get("content-length");
  return counted(reader, length === null ? Number.POSITIVE_INFINITY : Number(length));
}

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
    if (HOP_HEADERS.has(name) || name === "host" || name === "content-length") return;
    if (name === "authorization" || name.startsWith("impersonate-")) return;
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
  let headers = new Headers();
  while (status < 200) {
    const [line = "", ...fields] = (await reader.until("\r\n\r\n")).split("\r\n");
    const said = statusOf(line);
    if (said === undefined) throw new Error("malformed HTTP response");
    status = said;
    headers = new Headers();
    for (const field of fields) {
      const colon = field.indexOf(":");
      if (colon > 0) headers.append(field.slice(0, colon).trim(), field.slice(colon + 1).trim());
    }
  }
  const parts = bodyOf(reader, headers);
  for (const name of HOP_HEADERS) headers.delete(name);
  const bodiless = isBodiless(request.method, status);
  if (bodiless) channel.abort("done");
  const body = bodiless ? null : streamOf(channel, parts);
  return new Response(body, { status, headers });
}
