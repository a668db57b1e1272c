/** Those who wait until a revision is visible. */
import type { Cancel, Clock } from "#base/clock.ts";
import { StorageError } from "#store/store.ts";

interface Wait {
  readonly revision: number;
  readonly settle: PromiseWithResolvers<void>;
  readonly cancel: Cancel;
}

export class Waits {
  readonly #clock: Clock;
  readonly #waits = new Set<Wait>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws StorageError where the revision does not come in time. */
  until(revision: number, limitMs: number): Promise<void> {
    const settle = Promise.withResolvers<void>();
    const cancel = this.#clock.after(limitMs, () => {
      this.#waits.delete(wait);
      settle.reject(new StorageError(`etcd's revision ${revision} was not heard of in time`));
    });
    const wait: Wait = { revision, settle, cancel };
    this.#waits.add(wait);
    return settle.promise;
  }

  reached(revision: number): void {
    for (const wait of this.#waits) {
      if (wait.revision > revision) continue;
      this.#waits.delete(wait);
      wait.cancel();
      wait.settle.resolve();
    }
  }

  close(reason: Error): void {
    for (const { cancel, settle } of this.#waits) {
      cancel();
      settle.reject(reason);
    }
    this.#waits.clear();
  }
}
