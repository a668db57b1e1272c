import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";

/** Fewer than these find no company worth waiting for. */
const COMPANY_MIN = 3;
/** Of those who were there a round ago: the last ones are not waited for. */
const SHARE = 0.9;

/**
 * Many who need the same answer share one question; nobody shares one that was asked before they
 * came.
 */
export class Rounds {
  readonly #run: () => Promise<void>;
  #gathering: Promise<void> | undefined;
  #running: Promise<unknown> = Promise.resolve();
  /** How many the next round is for, and how many the last one was for. */
  #count = 0;
  #before = 0;

  constructor(run: () => Promise<void>) {
    this.#run = run;
  }

  /** Resolves after a round that began after this call; rejects when that round failed. */
  join(): Promise<void> {
    this.#count++;
    this.#gathering ??= this.#round();
    return this.#gathering;
  }

  async #round(): Promise<void> {
    await this.#running;
    await this.#gather();
    this.#gathering = undefined;
    this.#before = this.#count;
    this.#count = 0;
    const round = this.#run();
    this.#running = round.catch(() => undefined);
    await round;
  }

  /**
   * To the end of this turn of the event loop: what its other requests ask joins. Where many asked
   * before, some turns longer: who just had an answer asks again, and a question costs more than
   * the turns do.
   */
  async #gather(): Promise<void> {
    const before = this.#before;
    const enough = before < COMPANY_MIN ? 0 : (before + this.#count) * SHARE;
    let turns = 0;
    do await nextTurn();
    while (this.#count < enough && ++turns < limits.etcdGatherTurnsMax);
  }
}
