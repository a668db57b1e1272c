/**
 * Header compression of HTTP/2 (RFC 7541) as far as a client needs it that allows no dynamic table:
 * its own headers go out as plain literals, answers use the static table, literals and Huffman's
 * code. Pure.
 */

/** Names and values of the static table (RFC 7541, appendix A), from index 1 on. */
const STATIC: ReadonlyArray<readonly [string, string]> = (
  ":authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|" +
  ":scheme https|:status 200|:status 204|:status 206|:status 304|:status 400|:status 404|" +
  ":status 500|accept-charset|accept-encoding gzip, deflate|accept-language|accept-ranges|" +
  "accept|access-control-allow-origin|age|allow|authorization|cache-control|" +
  "content-disposition|content-encoding|content-language|content-length|content-location|" +
  "content-range|content-type|cookie|date|etag|expect|expires|from|host|if-match|" +
  "if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|link|" +
  "location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|" +
  "retry-after|server|set-cookie|strict-transport-security|transfer-encoding|user-agent|" +
  "vary|via|www-authenticate"
)
  .split("|")
  .map((entry) => {
    const space = entry.indexOf(" ");
    return space < 0 ? [entry, ""] : [entry.slice(0, space), entry.slice(space + 1)];
  });

/** Bits of each symbol's code (appendix B) as digits of base 36; the code is canonical. */
const HUFFMAN_LENGTHS =
  "dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca" +
  "d67777777777777777777777878djde6f56565666577666567655677777fbeds" +
  "kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn" +
  "qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq";

/** Symbols by length and code: `length * 2^30 + code`. */
const HUFFMAN = new Map<number, number>();
{
  const lengths = [...HUFFMAN_LENGTHS].map((digit) => Number.parseInt(digit, 36));
  const symbols = lengths.map((_, symbol) => symbol);
  symbols.sort((a, b) => (lengths[a] ?? 0) - (lengths[b] ?? 0) || a - b);
  let code = 0;
  let length = 0;
  for (const symbol of symbols) {
    const next = lengths[symbol] ?? 0;
    code *= 2 ** (next - length);
    length = next;
    HUFFMAN.set(length * 2 ** 30 + code, symbol);
    code++;
  }
}

const BITS_MAX = 30;

export class HpackError extends Error {
  override name = "HpackError";
}

export function decodeHuffman(bytes: Uint8Array): string {
  const out: number[] = [];
  let code = 0;
  let length = 0;
  for (const byte of bytes) {
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1);
      length++;
      const symbol = HUFFMAN.get(length * 2 ** 30 + code);
      if (symbol !== undefined) {
        out.push(symbol);
        code = 0;
        length = 0;
      } else if (length > BITS_MAX) throw new HpackError("no such Huffman code");
    }
  }
  // What is left is padding: the first bits of the longest code, all ones.
  if (length > 7 || code !== 2 ** length - 1) throw new HpackError("bad Huffman padding");
  return Buffer.from(out).toString("utf8");
}

class Reader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at >= this.#bytes.length;
  }

  peek(): number {
    return this.#bytes[this.#at] ?? 0;
  }

  #byte(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new HpackError("header block cut short");
    return byte;
  }

  /** An integer whose first part lies in the low `bits` of a byte (section 5.1). */
  integer(bits: number): number {
    const mask = 2 ** bits - 1;
    let value = this.#byte() & mask;
    if (value < mask) return value;
    for (let shift = 0; shift <= 28; shift += 7) {
      const byte = this.#byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw new HpackError("integer too long");
  }

  text(): string {
    const huffman = (this.peek() & 0x80) !== 0;
    const length = this.integer(7);
    const end = this.#at + length;
    if (end > this.#bytes.length) throw new HpackError("string cut short");
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return huffman ? decodeHuffman(bytes) : Buffer.from(bytes).toString("utf8");
  }
}

function entry(index: number): readonly [string, string] {
  const found = STATIC[index - 1];
  if (found === undefined) throw new HpackError(`no header at index ${index}`);
  return found;
}

/** Headers by name; of a name that occurs twice, the last value. */
export function decodeHeaders(block: Uint8Array): Record<string, string> {
  const headers: Record<string, string> = {};
  const reader = new Reader(block);
  while (!reader.done) {
    const first = reader.peek();
    if (first >= 0x80) {
      const [name, value] = entry(reader.integer(7));
      headers[name] = value;
    } else if (first >= 0x20 && first < 0x40) {
      // The table stays empty, whatever size the peer thinks of.
      reader.integer(5);
    } else {
      const index = reader.integer(first >= 0x40 ? 6 : 4);
      const name = index === 0 ? reader.text() : entry(index)[0];
      headers[name] = reader.text();
    }
  }
  return headers;
}

function integer(value: number, bits: number, flags: number): number[] {
  const mask = 2 ** bits - 1;
  if (value < mask) return [flags | value];
  const out = [flags | mask];
  let rest = value - mask;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) out.push((rest % 0x80) | 0x80);
  return [...out, rest];
}

/** Plain literals that are never indexed. Names must be lower case. */
export function encodeHeaders(headers: Readonly<Record<string, string>>): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const [name, value] of Object.entries(headers)) {
    parts.push(Uint8Array.of(0));
    for (const text of [name, value]) {
      const bytes = Buffer.from(text);
      parts.push(Uint8Array.from(integer(bytes.length, 7, 0)), bytes);
    }
  }
  return Buffer.concat(parts);
}
