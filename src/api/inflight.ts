/** A bound on requests in flight. Watches and streams do not count: they have their own. */
import { refuse } from "#api/errors.ts";
import { limits } from "#base/limits.ts";

export class InFlight {
  #count = 0;
  #refused = 0;

  get count(): number {
    return this.#count;
  }

  get refused(): number {
    return this.#refused;
  }

  /** @throws ApiError 429 past the limit. */
  enter(): void {
    if (this.#count >= limits.requestsInFlightMax) {
      this.#refused += 1;
      throw refuse.busy("too many requests, please try again later");
    }
    this.#count += 1;
  }

  leave(): void {
    this.#count -= 1;
  }
}
