import { nextTurn } from "#base/turn.ts";

/**
 * Many who need the same answer share one question; nobody shares one that was asked before they
 * came.
 */
export class Rounds {
  readonly #run: () => Promise<void>;
  #gathering: Promise<void> | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  /** Resolves after a round that began after this call; rejects when that round failed. */
  join(): Promise<void> {
    this.#gathering ??= this.#round();
    return this.#gathering;
  }

  async #round(): Promise<void> {
    await this.#running;
    // The end of this turn of the event loop: what the other requests of the turn ask joins.
    await nextTurn();
    this.#gathering = undefined;
    const round = this.#run();
    this.#running = round.catch(() => undefined);
    await round;
  }
}
