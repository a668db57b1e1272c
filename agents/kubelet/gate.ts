/** Bounds work that is under way on the node; what is nearer to its end goes first. */

export class Gate {
  readonly #widthMax: number;
  #busy = 0;
  readonly #waiting: Array<Array<() => void>> = [[], []];
  readonly #idlers: Array<() => void> = [];

  constructor(widthMax: number) {
    this.#widthMax = widthMax;
  }

  /** Runs `work` when there is room; priority 0 before 1. */
  async run<T>(priority: 0 | 1, work: () => Promise<T>): Promise<T> {
    if (this.#busy >= this.#widthMax) {
      await new Promise<void>((resolve) => this.#waiting[priority]?.push(resolve));
    } else this.#busy++;
    try {
      return await work();
    } finally {
      const next = this.#waiting[0]?.shift() ?? this.#waiting[1]?.shift();
      // The place is handed over, so that nobody slips in between.
      if (next === undefined) this.#left();
      else next();
    }
  }

  /** How many wait for room. */
  get waiting(): number {
    return this.#waiting.reduce((sum, { length }) => sum + length, 0);
  }

  /** Resolves when nothing is under way. */
  idle(): Promise<void> {
    if (this.#busy === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idlers.push(resolve));
  }

  #left(): void {
    this.#busy--;
    if (this.#busy > 0) return;
    for (const resolve of this.#idlers.splice(0)) resolve();
  }
}
