/**
 * Answers made piece by piece when the client is ready for more. A Response hides what it was made
 * of; the listener sends these without a stream.
 */
import type { Packed } from "#api/gzip.ts";

/** Texts of one array, in between what stands before and after them. */
export interface Slice {
  readonly before: string;
  texts(): readonly string[];
  readonly after: string;
  /** The texts, with the commas between them, as they were packed before. */
  readonly packed?: Packed | undefined;
  /** Told what they were packed to. */
  keep?(packed: Packed): void;
}

export const textOfSlice = ({ before, texts, after }: Slice): string =>
  before + texts().join(",") + after;

const encoder = new TextEncoder();

/** What one reads of these: it is made when it is asked for. */
function streamOf<T>(parts: Iterator<T>, bytesOf: (part: T) => Uint8Array) {
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next = parts.next();
        if (next.done === true) controller.close();
        else controller.enqueue(bytesOf(next.value));
      },
    },
    // Nothing is made before somebody reads.
    { highWaterMark: 0 },
  );
}

/** Whoever takes the slices leaves the body alone, and the other way round. */
export class SlicedResponse extends Response {
  readonly slices: Iterator<Slice>;

  constructor(slices: Iterator<Slice>, init?: ResponseInit) {
    super(
      streamOf(slices, (slice) => encoder.encode(textOfSlice(slice))),
      init,
    );
    this.slices = slices;
  }
}

/** Bytes in parts. */
export type Piece = readonly Uint8Array[];

/** The same of bytes that are sent as they are. */
export class PackedResponse extends Response {
  readonly pieces: Iterator<Piece>;

  constructor(pieces: Iterator<Piece>, init?: ResponseInit) {
    super(
      streamOf(pieces, (piece) => Buffer.concat(piece)),
      init,
    );
    this.pieces = pieces;
  }
}

export const slicesOf = (response: Response): Iterator<Slice> | undefined =>
  response instanceof SlicedResponse ? response.slices : undefined;

export const piecesOf = (response: Response): Iterator<Piece> | undefined =>
  response instanceof PackedResponse ? response.pieces : undefined;
