/** Header blocks are packed by one zlib stream each way that lives as long as the connection. */
import { constants, createDeflate, createInflate, type Deflate, type Inflate } from "node:zlib";
import { spdyDictionary } from "#api/stream/spdy/dictionary.ts";
import { decodeHeaders, encodeHeaders, type Headers } from "#api/stream/spdy/frames.ts";
import { limits } from "#base/limits.ts";

/** Runs one write of a zlib stream and answers what came out. @throws Error past the limit. */
function through(stream: Deflate | Inflate, bytes: Uint8Array): Promise<Buffer> {
  const bytesMax = limits.spdyHeadersBytesMax;
  return new Promise((resolve, reject) => {
    const out: Buffer[] = [];
    let size = 0;
    const fail = (error: Error): void => reject(error);
    const take = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= bytesMax) {
        out.push(chunk);
        return;
      }
      fail(new Error(`SPDY headers are larger than ${bytesMax} bytes`));
      stream.destroy();
    };
    stream.on("data", take);
    stream.once("error", fail);
    stream.write(bytes);
    stream.flush(constants.Z_SYNC_FLUSH, () => {
      stream.off("data", take);
      stream.off("error", fail);
      resolve(Buffer.concat(out));
    });
  });
}

/** Calls must not overlap: each waits for the one before. */
export class HeaderPacker {
  readonly #deflate = createDeflate({ dictionary: spdyDictionary() });
  readonly #inflate = createInflate({
    dictionary: spdyDictionary(),
    finishFlush: constants.Z_SYNC_FLUSH,
  });

  constructor() {
    // An error may come after the call that caused it was answered.
    for (const stream of [this.#deflate, this.#inflate]) stream.on("error", () => undefined);
  }

  async pack(headers: Headers): Promise<Buffer> {
    return through(this.#deflate, encodeHeaders(headers));
  }

  /** @throws Error for what is not packed as it should be. */
  async unpack(block: Uint8Array): Promise<Headers> {
    const bytesMax = limits.spdyBlockBytesMax;
    if (block.length > bytesMax) throw new Error(`SPDY header block above ${bytesMax} bytes`);
    return decodeHeaders(await through(this.#inflate, block));
  }

  close(): void {
    this.#deflate.destroy();
    this.#inflate.destroy();
  }
}
