/** What all connections and requests of a node's Ingress share. */
import { Balancer } from "#agents/ingress/balancer.ts";
import type { Connection } from "#agents/ingress/connection.ts";
import { LifeSigns } from "#agents/ingress/lifesigns.ts";
import { createMetrics, type IngressMetrics } from "#agents/ingress/metrics.ts";
import type { Table } from "#agents/ingress/plan.ts";
import { Turns } from "#agents/ingress/turns.ts";
import type { Cancel, Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import { nextTurn } from "#base/turn.ts";

/** One request that is over. */
export interface Served {
  client: string;
  isSecure: boolean;
  method: string;
  host: string;
  target: string;
  /** 499: the client went away first. */
  status: number;
  requestBytes: number;
  answerBytes: number;
  durationMs: number;
  ingress: string;
  /** `namespace/service:port`. */
  backend: string;
  /** The one asked last; with its answer where that was passed on. */
  endpoint: string;
  /** Connections to endpoints that were tried. */
  attempts: number;
  /** Why the answer is ours, or is not whole. */
  problem?: string;
}

export interface Exchanges {
  readonly balancer: Balancer;
  readonly clock: Clock;
  readonly metrics: IngressMetrics;
  readonly lifeSigns: LifeSigns;
  /** Now, as HTTP has it. */
  date(): string;
  served(served: Served): void;
}

export interface ServingOptions {
  clock: Clock;
  /** Told of every request, where somebody wants to know. */
  onServed?: (served: Served) => void;
}

const EMPTY: Table = {
  hosts: new Map(),
  wildcards: new Map(),
  any: undefined,
  fallback: undefined,
  certificates: new Map(),
  backends: [],
  count: 0,
  problems: [],
};

export class Serving implements Exchanges {
  readonly balancer = new Balancer();
  readonly clock: Clock;
  readonly metrics = createMetrics();
  readonly lifeSigns: LifeSigns;
  readonly turns = new Turns(nextTurn);
  readonly connections = new Set<Connection>();
  /** Where HTTPS is, for redirects. */
  securePort = 443;
  /** Connections end with their request. */
  isStopping = false;
  readonly #onServed: ((served: Served) => void) | undefined;
  #table = EMPTY;
  #date = "";
  #cancel: Cancel | undefined;
  #empty: (() => void) | undefined;

  constructor({ clock, onServed }: ServingOptions) {
    this.clock = clock;
    this.lifeSigns = new LifeSigns(clock);
    this.#onServed = onServed;
  }

  get table(): Table {
    return this.#table;
  }

  /** For all requests from now on. */
  follow(table: Table): void {
    this.#table = table;
    this.balancer.follow(table);
  }

  date(): string {
    if (this.#date === "") this.#date = new Date(this.clock.now()).toUTCString();
    return this.#date;
  }

  served(served: Served): void {
    this.metrics.served(served);
    this.#onServed?.(served);
  }

  opened(connection: Connection): void {
    this.connections.add(connection);
    this.metrics.connections = this.connections.size;
    if (this.#cancel !== undefined) return;
    this.#date = "";
    this.#later();
  }

  closed(connection: Connection): void {
    this.connections.delete(connection);
    this.metrics.connections = this.connections.size;
    if (this.connections.size === 0) this.#empty?.();
  }

  /** Requests under way may end within the time; then what is left is cut. */
  async stop(graceMs: number): Promise<void> {
    this.isStopping = true;
    for (const connection of [...this.connections]) connection.stop();
    if (this.connections.size > 0) {
      const over = Promise.withResolvers<void>();
      this.#empty = over.resolve;
      const cancel = this.clock.after(graceMs, over.resolve);
      await over.promise;
      cancel();
    }
    for (const connection of [...this.connections]) connection.cut();
    this.#cancel?.();
    this.balancer.follow(EMPTY);
  }

  #later(): void {
    this.#cancel = this.clock.after(limits.ingressSweepMs, () => {
      this.#cancel = undefined;
      const nowMs = this.clock.monotonic();
      this.#date = "";
      for (const connection of [...this.connections]) connection.tick(nowMs);
      this.balancer.sweep(nowMs, limits.ingressSpareMsMax);
      // Once more after the last connection, for what is kept open to endpoints.
      if (this.connections.size > 0 || this.balancer.hasSpares) this.#later();
    });
  }
}
