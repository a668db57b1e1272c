/** Which endpoints one request has been sent to, and which comes next. */
import type { Balancer, EndpointState } from "#agents/ingress/balancer.ts";
import type { Backend } from "#agents/ingress/plan.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

export interface AttemptsParts {
  balancer: Balancer;
  clock: Clock;
}

export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #backend: Backend;
  readonly #client: string;
  readonly #failed = new Set<EndpointState>();
  count = 0;
  /** When the last one began. Monotonic. */
  atMs = 0;

  constructor(parts: AttemptsParts, backend: Backend, client: string) {
    this.#parts = parts;
    this.#backend = backend;
    this.#client = client;
  }

  /** Undefined where none is left, or enough were tried. */
  next(): EndpointState | undefined {
    const state = this.#choose(this.#failed);
    if (state === undefined) return undefined;
    this.count++;
    this.atMs = this.#parts.clock.monotonic();
    return state;
  }

  hasOther(state: EndpointState): boolean {
    return this.#choose(new Set(this.#failed).add(state)) !== undefined;
  }

  /** It is not asked again. */
  failed(state: EndpointState): void {
    this.#failed.add(state);
  }

  #choose(tried: ReadonlySet<EndpointState>): EndpointState | undefined {
    if (this.count >= limits.ingressAttemptsMax) return undefined;
    const { balancer, clock } = this.#parts;
    return balancer.choose(this.#backend, {
      nowMs: clock.monotonic(),
      client: this.#client,
      tried,
    });
  }
}
