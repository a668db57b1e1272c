/**
 * One of two processes with all controllers and the scheduler. Only the one that holds the Lease
 * works; the other stands by with warm caches.
 */

import { silentLog } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { standForElection } from "#client/elect.ts";
import { createRecorder } from "#client/events.ts";
import { fenced } from "#client/fence.ts";
import { createClient } from "#client/http.ts";
import { startControllers } from "#controllers/all.ts";
import { Scheduler } from "#scheduler/controller.ts";
import type { FakeClock } from "#test/support/clock.ts";
import type { FaultyFetch } from "#test/support/faults.ts";

export class Manager {
  readonly #around: { clock: FakeClock; random: Random };
  readonly faulty: FaultyFetch;
  readonly #identity: string;
  #stop = new AbortController();
  #caches: Caches | undefined;
  #life = 0;
  /** Terms that were begun. */
  terms = 0;
  /** It believes that it leads. */
  leads = false;

  constructor(identity: string, faulty: FaultyFetch, around: { clock: FakeClock; random: Random }) {
    this.#identity = identity;
    this.faulty = faulty;
    this.#around = around;
  }

  start(): void {
    const { clock, random } = this.#around;
    const { signal } = this.#stop;
    const client = createClient(this.faulty.connect());
    const caches = createCaches({ client, clock, log: silentLog });
    this.#caches = caches;
    const identity = `${this.#identity}-${++this.#life}`;
    const lead = (term: AbortSignal, holds: () => boolean, writer: Client): void => {
      this.terms++;
      this.leads = true;
      term.addEventListener("abort", () => {
        this.leads = false;
      });
      const own = fenced(writer, holds);
      const shared = { client: own, caches, clock, random, log: silentLog, signal: term };
      startControllers({
        ...shared,
        caCertificate: "ca",
        clusterCidr: "10.42.0.0/16",
        serviceCidr: "10.43.0.0/16",
        nodeGraceMs: 10_000,
        signCertificate: () => "",
      });
      const recorder = createRecorder({ ...shared, component: "default-scheduler" });
      void new Scheduler({ ...shared, recorder }).run();
    };
    void standForElection({
      client,
      caches,
      clock,
      random,
      log: silentLog,
      signal,
      namespace: "kube-system",
      name: "bramble-controllers",
      identity,
      enter: async () => client,
      lead,
    });
  }

  /** As `kill -9`: nothing is finished, all memory is gone. The Lease is not given back. */
  crash(): void {
    this.faulty.sever();
    this.leads = false;
    this.#stop.abort();
    this.#caches?.stop();
    this.#stop = new AbortController();
  }
}
