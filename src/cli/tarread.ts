/** Reads a tar archive as a stream of entries. The archive comes from a container and is not trusted. */
import { OperatorError } from "#base/errors.ts";
import { fileLimits } from "#base/filelimits.ts";

const BLOCK = 512;
const decoder = new TextDecoder();

export type EntryKind = "file" | "folder" | "link" | "same" | "other";

export interface TarEntry {
  path: string;
  kind: EntryKind;
  /** Target of a `link` or a `same` (hard link). */
  target: string;
  mode: number;
  mtimeMs: number;
  size: number;
}

const KINDS: Record<string, EntryKind> = {
  "0": "file",
  "\0": "file",
  "7": "file",
  "1": "same",
  "2": "link",
  "5": "folder",
};

const broken = (why: string): OperatorError =>
  new OperatorError(`the container sent a broken archive: ${why}`);

/** Reads exact numbers of bytes from a stream of chunks. */
class Source {
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = new Uint8Array(0);

  constructor(chunks: AsyncIterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.asyncIterator]();
  }

  /** At least one byte and at most `most`; undefined at the end. */
  async some(most: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return undefined;
      this.#rest = next.value;
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** Undefined at the end. */
  async whole(size: number): Promise<Uint8Array | undefined> {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; ) {
      const part = await this.some(size - at);
      if (part === undefined && at === 0) return undefined;
      if (part === undefined) throw broken("it ends early");
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  async *body(size: number): AsyncGenerator<Uint8Array> {
    for (let left = size; left > 0; ) {
      const part = await this.some(left);
      if (part === undefined) throw broken("it ends early");
      left -= part.length;
      yield part;
    }
  }

  async skip(size: number): Promise<void> {
    for await (const _ of this.body(size));
  }
}

function textAt(block: Uint8Array, at: number, size: number): string {
  const field = block.subarray(at, at + size);
  const end = field.indexOf(0);
  return decoder.decode(end < 0 ? field : field.subarray(0, end));
}

/** Decodes a number: octal digits, or GNU's binary form, which has the first bit set. */
function numberAt(block: Uint8Array, at: number, size: number): number {
  if (((block[at] ?? 0) & 0x80) !== 0) {
    const field = block.subarray(at + 1, at + size);
    return field.reduce((value, byte) => value * 256 + byte, (block[at] ?? 0) & 0x3f);
  }
  const text = textAt(block, at, size).trim();
  if (!/^[0-7]*$/.test(text)) throw broken("a header has a field that is not an octal number");
  return Number.parseInt(text || "0", 8);
}

function mustBeHeader(block: Uint8Array): void {
  let sum = 8 * 32;
  for (const [at, byte] of block.entries()) if (at < 148 || at >= 156) sum += byte;
  if (sum !== numberAt(block, 148, 8)) throw broken("a header has a wrong checksum");
}

/** Other attributes are not kept: a container may send any number of them. */
const USED_ATTRIBUTES: ReadonlySet<string> = new Set(["path", "linkpath", "size"]);

/** Parses pax records of the form `LENGTH KEY=VALUE\n`. */
function attributesOf(bytes: Uint8Array): Map<string, string> {
  const found = new Map<string, string>();
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(32, at);
    const length = Number(decoder.decode(bytes.subarray(at, Math.max(at, space))));
    const isLength = Number.isInteger(length) && length > space - at && at + length <= bytes.length;
    if (space < 0 || !isLength) throw broken("a record of attributes has a wrong length");
    const record = decoder.decode(bytes.subarray(space + 1, at + length - 1));
    const equals = record.indexOf("=");
    const key = record.slice(0, Math.max(0, equals));
    if (USED_ATTRIBUTES.has(key)) found.set(key, record.slice(equals + 1));
    at += length;
  }
  return found;
}

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK;

function entryOf(block: Uint8Array, more: ReadonlyMap<string, string>): TarEntry {
  const prefix = textAt(block, 257, 5) === "ustar" ? textAt(block, 345, 155) : "";
  const name = textAt(block, 0, 100);
  const size = Number(more.get("size") ?? numberAt(block, 124, 12));
  if (!Number.isSafeInteger(size) || size < 0) throw broken("a file has a wrong size");
  return {
    path: more.get("path") ?? (prefix === "" ? name : `${prefix}/${name}`),
    kind: KINDS[String.fromCharCode(block[156] ?? 0)] ?? "other",
    target: more.get("linkpath") ?? textAt(block, 157, 100),
    mode: numberAt(block, 100, 8) & 0o777,
    mtimeMs: numberAt(block, 136, 12) * 1000,
    size,
  };
}

/** Headers that describe the next entry: GNU's long names and pax attributes. */
const MORE: Record<string, "path" | "linkpath" | "attributes" | "ignored"> = {
  L: "path",
  K: "linkpath",
  x: "attributes",
  g: "ignored",
};

/** Calls `take` for each entry in order, with the bytes of a file. @throws OperatorError */
export async function readTar(
  chunks: AsyncIterable<Uint8Array>,
  take: (entry: TarEntry, body: AsyncIterable<Uint8Array>) => Promise<void>,
): Promise<void> {
  const source = new Source(chunks);
  let more = new Map<string, string>();
  for (;;) {
    const block = await source.whole(BLOCK);
    if (block === undefined || block.every((byte) => byte === 0)) break;
    mustBeHeader(block);
    const kind = MORE[String.fromCharCode(block[156] ?? 0)];
    if (kind === undefined) {
      const entry = entryOf(block, more);
      more = new Map();
      const body = source.body(entry.size);
      await take(entry, body);
      for await (const _ of body);
      await source.skip(padding(entry.size));
      continue;
    }
    const size = numberAt(block, 124, 12);
    if (!(size <= fileLimits.tarHeaderBytesMax)) throw broken("a header is too long");
    const bytes = (await source.whole(size)) ?? new Uint8Array(0);
    await source.skip(padding(size));
    if (kind === "attributes") for (const [key, value] of attributesOf(bytes)) more.set(key, value);
    else if (kind !== "ignored") more.set(kind, textAt(bytes, 0, bytes.length));
  }
  while ((await source.some(BLOCK)) !== undefined);
}
