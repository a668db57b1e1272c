/** Who may go on when not everybody can. */

/** So many at once, the others in the order in which they came. */
export class Places {
  #free: number;
  readonly #waiting: Array<() => void> = [];

  constructor(placesMax: number) {
    this.#free = placesMax;
  }

  async with<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The place is handed over, so that nobody slips in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  get idle(): boolean {
    return this.#free > 0;
  }
}

/** One at a time for each key. */
export class Turns {
  readonly #places = new Map<string, Places>();

  async with<T>(key: string, work: () => Promise<T>): Promise<T> {
    const places = this.#places.get(key) ?? new Places(1);
    this.#places.set(key, places);
    try {
      return await places.with(work);
    } finally {
      if (places.idle) this.#places.delete(key);
    }
  }
}
