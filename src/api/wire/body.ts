/** The bytes of a request's body as they come in, counted or in chunks (RFC 9112, section 7.1). */
import { chunkSizeOf, HeadError, nameOf } from "#base/httphead.ts";
import { Intake } from "#base/intake.ts";
import { limits } from "#base/limits.ts";

/** A chunk's size line with its extensions, and one line of a trailer. */
const LINE_BYTES_MAX = 1024;
const TRAILER_LINES_MAX = 32;

export class BodyReader {
  readonly #kept = new Intake();
  readonly #bytesMax: number;
  readonly #chunked: boolean;
  #size = 0;
  /** Bytes left of the body, or of the chunk that is being read. */
  #left: number;
  #state: "size" | "data" | "end" | "trailer" | "done";
  #line: Buffer = Buffer.alloc(0);
  #trailerLines = 0;
  #chunks = 0;
  #keeps = true;

  /** @throws HeadError 413 for a body that says that it is too long. */
  constructor(length: number | "chunked", bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#chunked = length === "chunked";
    this.#left = length === "chunked" ? 0 : length;
    this.#state = this.#chunked ? "size" : this.#left === 0 ? "done" : "data";
    if (this.#left > bytesMax) throw new HeadError(413, `limit is ${bytesMax}`);
  }

  get done(): boolean {
    return this.#state === "done";
  }

  /** Bytes that are still to come; undefined where chunks do not say. */
  get left(): number | undefined {
    return this.#chunked ? undefined : this.#left;
  }

  /** What comes from now on is of no use to anybody. */
  discard(): void {
    this.#keeps = false;
    this.#kept.clear();
  }

  /** Takes what belongs to the body; what follows it is returned. @throws HeadError */
  take(input: Buffer): Buffer {
    let rest = input;
    while (this.#state !== "done" && rest.length > 0) {
      rest = this.#state === "data" ? this.#takeData(rest) : this.#takeLine(rest);
    }
    return rest;
  }

  bytes(): Buffer {
    return this.#kept.bytes;
  }

  #takeData(input: Buffer): Buffer {
    const part = input.subarray(0, this.#left);
    this.#size += part.length;
    if (this.#size > this.#bytesMax) throw new HeadError(413, `limit is ${this.#bytesMax}`);
    if (this.#keeps) this.#kept.append(part);
    this.#left -= part.length;
    if (this.#left === 0) this.#state = this.#chunked ? "end" : "done";
    return input.subarray(part.length);
  }

  /** Collects up to the end of a line, which may come in pieces. */
  #takeLine(input: Buffer): Buffer {
    const end = input.indexOf(10);
    const part = end < 0 ? input : input.subarray(0, end + 1);
    this.#line = Buffer.concat([this.#line, part]);
    if (this.#line.length > LINE_BYTES_MAX) throw new HeadError(400, "malformed chunk");
    if (end >= 0) {
      const text = this.#line.toString("latin1");
      this.#line = Buffer.alloc(0);
      if (!text.endsWith("\r\n")) throw new HeadError(400, "malformed chunk");
      this.#lineRead(text.slice(0, -2));
    }
    return input.subarray(part.length);
  }

  #lineRead(line: string): void {
    if (this.#state === "end") {
      if (line !== "") throw new HeadError(400, "malformed chunk");
      this.#state = "size";
    } else if (this.#state === "trailer") {
      this.#trailerLines += 1;
      if (this.#trailerLines > TRAILER_LINES_MAX) throw new HeadError(400, "too long a trailer");
      if (line === "") this.#state = "done";
      else nameOf(line);
    } else {
      this.#left = chunkSizeOf(line);
      this.#countChunk();
      this.#state = this.#left === 0 ? "trailer" : "data";
    }
  }

  /** Each chunk costs more than its bytes: many small ones are no body of a client. */
  #countChunk(): void {
    const { bodyChunksMin, bodyChunkBytesMin } = limits;
    this.#chunks += 1;
    if (this.#chunks > bodyChunksMin + this.#size / bodyChunkBytesMin) {
      throw new HeadError(400, `chunks are smaller than ${bodyChunkBytesMin} bytes on average`);
    }
  }
}
