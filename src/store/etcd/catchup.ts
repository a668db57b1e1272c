/**
 * How a server's memory gets as far as etcd is: a read asks which revision is the newest, and waits
 * until the watch brought all changes up to it.
 */
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Members } from "#store/etcd/members.ts";
import {
  type Guard,
  putAllRequest,
  rangeAnswer,
  revisionRequest,
  txnAnswer,
} from "#store/etcd/messages.ts";
import { TICK } from "#store/etcd/place.ts";
import { Rounds } from "#store/etcd/rounds.ts";
import { Waits } from "#store/etcd/waits.ts";

export interface CatchUpOptions {
  readonly members: Members;
  readonly prefix: string;
  readonly clock: Clock;
  /** The newest revision that is visible. */
  readonly revision: () => number;
  /** What is added to etcd's revisions. */
  readonly offset: () => number;
  readonly guard: () => Guard;
  /** The guard is not as it was. */
  readonly onGuardLost: () => void;
}

export class CatchUp {
  readonly #options: CatchUpOptions;
  readonly #waits: Waits;
  readonly #rounds: Rounds;
  /** Revision of the last tick that this server wrote, and whether one is on its way. */
  #tickAt = 0;
  #ticking = false;

  constructor(options: CatchUpOptions) {
    this.#options = options;
    this.#waits = new Waits(options.clock);
    this.#rounds = new Rounds(() => this.#round());
  }

  /** Resolves when all that was acknowledged anywhere before the call is visible. */
  fresh(): Promise<void> {
    return this.#rounds.join();
  }

  async #round(): Promise<void> {
    const { members, prefix, offset } = this.#options;
    const { bytes } = await members.call("etcdserverpb.KV/Range", revisionRequest(prefix));
    await this.until(rangeAnswer(bytes, offset()).revision);
  }

  /** Resolves when all changes up to this revision are visible. @throws StorageError */
  async until(revision: number): Promise<void> {
    if (this.#options.revision() >= revision) return;
    let cancel = (): void => undefined;
    const arm = (): void => {
      cancel = this.#options.clock.after(limits.etcdProgressMs, () => {
        void this.#tick(revision);
        arm();
      });
    };
    arm();
    try {
      await this.#waits.until(revision, limits.etcdMsMax);
    } finally {
      cancel();
    }
  }

  /** Writes what the watch must bring after all up to this revision, unless that is on its way. */
  async #tick(revision: number): Promise<void> {
    if (this.#ticking || this.#tickAt >= revision) return;
    this.#ticking = true;
    try {
      const { members, prefix, guard, offset, onGuardLost } = this.#options;
      const request = putAllRequest([{ key: `${prefix}${TICK}`, value: "" }], guard());
      const { bytes } = await members.call("etcdserverpb.KV/Txn", request);
      const answer = txnAnswer(bytes, offset());
      if (answer.succeeded) this.#tickAt = answer.revision;
      else onGuardLost();
    } catch {
      // Told by the members; who waits asks again.
    } finally {
      this.#ticking = false;
    }
  }

  /** All changes up to this revision are visible now. */
  reached(revision: number): void {
    this.#waits.reached(revision);
  }

  /** Who waits hears the reason. */
  close(reason: Error): void {
    this.#waits.close(reason);
  }
}
