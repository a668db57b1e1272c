/**
 * How many requests begin in one turn of the event loop. Where more than a thousand connections are
 * ready at once, the runtime works through tens of thousands of events before timers and messages
 * of other threads have their turn. A request that has not begun makes nothing ready.
 */
import { limits } from "#base/limits.ts";

export class Turns {
  readonly #nextTurn: () => Promise<void>;
  /** One for each client's connection at most. While there are some, a turn is asked for. */
  readonly #waiting: Array<() => void> = [];
  #begun = 0;

  constructor(nextTurn: () => Promise<void>) {
    this.#nextTurn = nextTurn;
  }

  /** At once, or in one of the next turns: in the order of the calls. */
  begin(run: () => void): void {
    if (this.#begun < limits.ingressBegunMax) {
      this.#begun++;
      run();
      return;
    }
    this.#waiting.push(run);
    if (this.#waiting.length === 1) this.#later();
  }

  #later(): void {
    void this.#nextTurn().then(() => this.#turn());
  }

  #turn(): void {
    const next = this.#waiting.splice(0, limits.ingressBegunMax);
    this.#begun = next.length;
    // Ahead of them: whatever becomes of one, the others have their turn.
    if (this.#waiting.length > 0) this.#later();
    for (const run of next) run();
  }
}
