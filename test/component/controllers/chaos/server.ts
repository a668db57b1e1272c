/**
 * An API server that dies as by `kill -9` and comes back on what its disk had: what was not written
 * is lost, history is gone, every connection breaks. All on one clock and one seed.
 */

import { createCodec } from "#api/codec.ts";
import type { Clock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Fetch } from "#client/client.ts";
import { kinds } from "#resources/kinds.ts";
import { type Disk, openDisk } from "#store/disk.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { StorageError } from "#store/store.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";

interface Life {
  readonly test: TestApi;
  readonly death: PromiseWithResolvers<never>;
  readonly disk: { dead: boolean };
}

/** The same rows for one life after the other; a life that is over writes no more. */
function shared(disk: Disk, life: { dead: boolean }): Disk {
  const alive = (): void => {
    if (life.dead) throw new StorageError("this process was killed");
  };
  return {
    get ceiling() {
      return disk.ceiling;
    },
    get damaged() {
      return disk.damaged;
    },
    load: () => disk.load(),
    wantsTidy: () => false,
    commit(rows, ceiling) {
      alive();
      disk.commit(rows, ceiling);
    },
    async sync() {
      alive();
      await disk.sync();
      // Killed while it waited: the rows are there, and nobody was told.
      alive();
    },
    mend: alive,
    scrub: alive,
    copyLog: async () => {},
    endLog: async () => {},
    close: () => {},
  };
}

export class ChaosServer {
  readonly #around: { clock: Clock; random: Random };
  readonly #disk = openDisk(":memory:");
  #life: Life | undefined;

  constructor(around: { clock: Clock; random: Random }) {
    this.#around = around;
  }

  get up(): boolean {
    return this.#life !== undefined;
  }

  async start(): Promise<void> {
    const { clock, random } = this.#around;
    const disk = { dead: false };
    const store = await openSqliteStore({
      path: ":memory:",
      codec: createCodec(kinds),
      clock,
      log: silentLog,
      openDisk: () => shared(this.#disk, disk),
    });
    const test = await startApi({ store, clock, random });
    const death = Promise.withResolvers<never>();
    death.promise.catch(() => {});
    this.#life = { test, death, disk };
  }

  kill(): void {
    const life = this.#life;
    if (life === undefined) return;
    this.#life = undefined;
    life.disk.dead = true;
    life.test.api.close();
    life.death.reject(new Error("connection reset"));
  }

  /** Whoever asks hears nothing any more when the server dies. Watches are the caller's to cut. */
  readonly fetch: Fetch = async (request) => {
    const life = this.#life;
    if (life === undefined) throw new Error("connection refused");
    return Promise.race([life.test.api.fetch(request, { user: ADMIN }), life.death.promise]);
  };

  close(): void {
    this.kill();
    this.#disk.close();
  }
}
