/** What has come of a request's body, as long as it may have to be sent to another endpoint. */
import { limits } from "#base/limits.ts";

export class Replay {
  #chunks: Buffer[] = [];
  #bytes = 0;
  #isWhole = true;

  /** Whether all of it can be sent once more. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  get chunks(): readonly Buffer[] {
    return this.#chunks;
  }

  keep(part: Buffer): void {
    if (!this.#isWhole) return;
    this.#chunks.push(part);
    this.#bytes += part.length;
  }

  /** It was sent once: past the bound not again. */
  sent(): void {
    if (this.#bytes > limits.ingressReplayBytesMax) this.end();
  }

  /** Nothing will be sent again. */
  end(): void {
    this.#isWhole = false;
    this.#chunks = [];
  }
}
