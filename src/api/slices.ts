/**
 * Answers made piece by piece when the client is ready for more. A Response hides what it was made
 * of; the listener sends these without a stream.
 */

/** Texts of one array, in between what stands before and after them. */
export interface Slice {
  readonly before: string;
  readonly texts: readonly string[];
  readonly after: string;
}

export const textOfSlice = ({ before, texts, after }: Slice): string =>
  before + texts.join(",") + after;

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
