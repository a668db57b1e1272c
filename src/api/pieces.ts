/** A long list as one gzip stream: what of it was packed for others is sent as it is. */
import { Gzip, type Packed, pack } from "#api/gzip.ts";
import type { Piece, Slice } from "#api/slices.ts";
import { Bytes, bytesMaxOf } from "#api/wire/bytes.ts";

/** A piece has so many bytes, or as many were packed for it: others get their turn after it. */
const PIECE_BYTES = 64 * 1024;
const MADE_BYTES = 256 * 1024;

const packText = (text: string): Packed => pack(Buffer.from(text));
const COMMA = packText(",");

function packTexts(slice: Slice): Packed {
  const texts = slice.texts();
  const bytes = new Bytes(bytesMaxOf({ before: "", texts: () => texts, after: "" }));
  bytes.addTexts(texts);
  const packed = pack(bytes.view());
  bytes.release();
  slice.keep?.(packed);
  return packed;
}

/** Each piece is the bytes of its parts, one after the other. */
export function* gzipPieces(slices: Iterable<Slice>): Generator<Piece> {
  const gzip = new Gzip();
  let parts = [gzip.head()];
  let size = 0;
  let made = 0;
  const add = (part: Packed): void => {
    const bytes = gzip.packed(part);
    parts.push(bytes);
    size += bytes.length;
  };
  for (const slice of slices) {
    const { before, after, packed } = slice;
    if (before !== "") add(before === "," ? COMMA : packText(before));
    const texts = packed ?? packTexts(slice);
    add(texts);
    if (after !== "") add(after === "," ? COMMA : packText(after));
    if (packed === undefined) made += texts.size;
    if (size < PIECE_BYTES && made < MADE_BYTES) continue;
    yield parts;
    parts = [];
    size = 0;
    made = 0;
  }
  parts.push(gzip.end());
  yield parts;
}
