/**
 * Whether the machine of an endpoint that owes an answer is still there. One without power ends no
 * connection, and what was sent to it is sent again for minutes.
 */
import { createConnection } from "node:net";
import { type EndpointState, markLame } from "#agents/ingress/balancer.ts";
import { afterPackets } from "#agents/ingress/patience.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

/** What the kernel or a router says where the machine says nothing. */
const SILENCE: ReadonlySet<string> = new Set(["EHOSTUNREACH", "ENETUNREACH", "ETIMEDOUT"]);

interface Look {
  readonly sinceMs: number;
  readonly isThere: Promise<boolean>;
}

export class LifeSigns {
  readonly #clock: Clock;
  readonly #looks = new WeakMap<EndpointState, Look>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** One look at a time for all who ask. False: it takes no connection, and refuses none. */
  of(state: EndpointState): Promise<boolean> {
    const nowMs = this.#clock.monotonic();
    const known = this.#looks.get(state);
    if (known !== undefined && nowMs - known.sinceMs < limits.ingressLookMs) return known.isThere;
    const isThere = this.#look(state).then((found) => {
      if (!found) this.#silent(state);
      return found;
    });
    this.#looks.set(state, { sinceMs: nowMs, isThere });
    return isThere;
  }

  #look({ endpoint }: EndpointState): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const socket = createConnection({ host: endpoint.address, port: endpoint.port });
    const end = (isThere: boolean): void => {
      cancel();
      socket.destroy();
      resolve(isThere);
    };
    const cancel = afterPackets(this.#clock, limits.ingressLookMs, () => end(false));
    socket.on("connect", () => end(true));
    socket.on("error", ({ code = "" }: NodeJS.ErrnoException) => end(!SILENCE.has(code)));
    return promise;
  }

  #silent(state: EndpointState): void {
    markLame(state, this.#clock.monotonic());
    for (const spare of state.spares.splice(0)) spare.close();
  }
}
