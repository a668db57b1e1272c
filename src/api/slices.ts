/**
 * Answers made piece by piece when the client is ready for more. A Response hides what it was made
 * of; the listener sends these without a stream.
 */

/** Texts of one array, in between what stands before and after them. */
export interface Slice {
  readonly before: string;
  texts(): readonly string[];
  readonly after: string;
  /** The texts as they were sent before, where that was kept. */
  readonly kept?: Kept | undefined;
  /** Told where the texts were made into bytes; what may be kept is made only by the call. */
  sent?(keep: () => Kept): void;
}

/** Texts of a slice as a client reads them, in one piece of memory. */
export interface Kept {
  /** With the comma after them, as a chunk of HTTP/1.1. */
  readonly chunk: Uint8Array;
  /** The part of it that is the texts, with the commas between them. */
  readonly texts: Uint8Array;
}

export const textOfSlice = ({ before, texts, after }: Slice): string =>
  before + texts().join(",") + after;

const encoder = new TextEncoder();

export class SlicedResponse extends Response {
  readonly slices: Iterator<Slice>;
  /** Whoever takes the slices leaves the body alone, and the other way round. */
  constructor(slices: Iterator<Slice>, init?: ResponseInit) {
    const body = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          const next = slices.next();
          if (next.done === true) controller.close();
          else controller.enqueue(encoder.encode(textOfSlice(next.value)));
        },
      },
      // Nothing is made before somebody reads.
      { highWaterMark: 0 },
    );
    super(body, init);
    this.slices = slices;
  }
}

export const slicesOf = (response: Response): Iterator<Slice> | undefined =>
  response instanceof SlicedResponse ? response.slices : undefined;
