/** Times of requests since the last look. */
export class Tally {
  #took: number[] = [];
  #errors = 0;
  #lastError = "";

  add(ms: number): void {
    this.#took.push(ms);
  }

  error(text: string): void {
    this.#errors++;
    this.#lastError = text;
  }

  take(): {
    requests: number;
    errors: number;
    lastError: string;
    p50Ms: number;
    p99Ms: number;
    maxMs: number;
  } {
    const sorted = this.#took.sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.floor(sorted.length * share)] ?? 0;
    const out = {
      requests: sorted.length,
      errors: this.#errors,
      lastError: this.#lastError,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      maxMs: sorted.at(-1) ?? 0,
    };
    this.#took = [];
    this.#errors = 0;
    return out;
  }
}
