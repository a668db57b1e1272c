/** A bound on frames that carry nothing: each costs the reader more than the sender. */
import { limits } from "#base/limits.ts";

const WINDOW_MS = 1_000;

export class EmptyFrames {
  #sinceMs = 0;
  #count = 0;

  /** Counts one. False: there were too many in a second. */
  take(): boolean {
    this.#count += 1;
    if (this.#count <= limits.emptyFramesPerSecondMax) return true;
    const nowMs = performance.now();
    const calm = nowMs - this.#sinceMs > WINDOW_MS;
    this.#sinceMs = nowMs;
    this.#count = 1;
    return calm;
  }
}

const MAX = limits.emptyFramesPerSecondMax;

export const TOO_MANY_EMPTY = `more than ${MAX} empty or control frames in a second: send fewer`;
