/** Chooses an endpoint for each request: the one with the fewest requests under way. */
import type { Backend, Endpoint, Table } from "#agents/ingress/plan.ts";
import type { Spare } from "#agents/ingress/upstream.ts";
import { limits } from "#base/limits.ts";

/** A request under way, as its endpoint's end concerns it. */
export interface Asked {
  readonly backend: Backend;
  /** The endpoint is in no slice of the backend any more: nothing may come from it. */
  endpointLeft(): void;
}

/** What is known of one endpoint, for all backends that have it. */
export interface EndpointState {
  readonly endpoint: Endpoint;
  /** `10.42.0.7:8080`. */
  readonly name: string;
  /** Requests under way. */
  pending: number;
  /** Those that wait for an answer. */
  readonly asked: Set<Asked>;
  /** It took no connection: chosen last until then. Monotonic. */
  lameUntilMs: number;
  /** In no table any more: nothing is kept open to it. */
  gone: boolean;
  /** Connections without a request, the one used last at the end. */
  readonly spares: Spare[];
}

export interface Choice {
  nowMs: number;
  /** The client's address, for backends with affinity. */
  client: string;
  /** Endpoints that failed for this request. */
  tried: ReadonlySet<EndpointState>;
}

const nameOf = ({ address, port }: Endpoint): string =>
  address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;

const has = ({ endpoints, others }: Backend, { address, port }: Endpoint): boolean =>
  [...endpoints, ...others].some((each) => each.address === address && each.port === port);

/** FNV-1a. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    value = Math.imul(value ^ text.charCodeAt(at), 0x01000193);
  }
  return value >>> 0;
}

export class Balancer {
  readonly #states = new Map<string, EndpointState>();
  /** In no table any more, with requests under way. */
  readonly #going = new Set<EndpointState>();
  readonly #byBackend = new WeakMap<Backend, readonly EndpointState[]>();
  /** As the table has it now: a request that has to try again may have begun long ago. */
  #current: ReadonlyMap<string, Backend> = new Map();
  #turn = 0;

  /** Undefined where none is left to try. */
  choose(backend: Backend, choice: Choice): EndpointState | undefined {
    const states = this.#of(this.#current.get(backend.name) ?? backend);
    if (backend.sticky) return sticky(states, choice);
    const { tried, nowMs } = choice;
    // Of equals each has its turn.
    const first = this.#turn++;
    let best: EndpointState | undefined;
    let bestRank = Number.POSITIVE_INFINITY;
    for (let at = 0; at < states.length; at++) {
      const state = states[(first + at) % states.length];
      if (state === undefined || tried.has(state)) continue;
      const rank = state.lameUntilMs > nowMs ? state.pending + 1e9 : state.pending;
      if (rank < bestRank) [best, bestRank] = [state, rank];
    }
    return best;
  }

  /**
   * Requests under way go on; what is in no table any more is not kept open. Who waits for what is
   * not even in the slices any more is told.
   */
  follow(table: Table): void {
    this.#current = new Map(table.backends.map((backend) => [backend.name, backend]));
    const used = new Set(table.backends.flatMap((backend) => this.#of(backend)));
    for (const [name, state] of this.#states) {
      if (used.has(state)) continue;
      state.gone = true;
      if (state.pending > 0) this.#going.add(state);
      for (const spare of state.spares.splice(0)) spare.close();
      this.#states.delete(name);
    }
    for (const state of this.#going) {
      for (const asked of [...state.asked]) {
        // Without its backend it is not known what became of the endpoint.
        const now = this.#current.get(asked.backend.name);
        if (now !== undefined && !has(now, state.endpoint)) asked.endpointLeft();
      }
    }
  }

  /** Requests under way to this address, as `10.42.0.7`. */
  pendingAt(address: string): number {
    let count = 0;
    for (const { endpoint, pending } of [...this.#states.values(), ...this.#going]) {
      if (endpoint.address === address) count += pending;
    }
    return count;
  }

  /** Connections that were not used for long are closed. */
  sweep(nowMs: number, spareMsMax: number): void {
    for (const state of this.#going) if (state.pending === 0) this.#going.delete(state);
    for (const { spares } of this.#states.values()) {
      const young = spares.findIndex((spare) => nowMs - spare.usedMs <= spareMsMax);
      for (const spare of spares.splice(0, young < 0 ? spares.length : young)) spare.close();
    }
  }

  /** Endpoints that requests may go to. */
  get states(): Iterable<EndpointState> {
    return this.#states.values();
  }

  get hasSpares(): boolean {
    for (const { spares } of this.#states.values()) if (spares.length > 0) return true;
    return false;
  }

  #of(backend: Backend): readonly EndpointState[] {
    const known = this.#byBackend.get(backend);
    if (known !== undefined) return known;
    const made = backend.endpoints.map((endpoint) => this.#state(endpoint));
    this.#byBackend.set(backend, made);
    return made;
  }

  #state(endpoint: Endpoint): EndpointState {
    const name = nameOf(endpoint);
    let state = this.#states.get(name);
    if (state === undefined) {
      state = {
        endpoint,
        name,
        pending: 0,
        lameUntilMs: 0,
        gone: false,
        spares: [],
        asked: new Set(),
      };
      this.#states.set(name, state);
    }
    return state;
  }
}

/** It takes no connection: others are asked first, for a while. */
export function markLame(state: EndpointState, nowMs: number): void {
  state.lameUntilMs = nowMs + limits.ingressLameMs;
}

/** Rendezvous hashing: an endpoint that comes or goes moves only its own clients. */
function sticky(states: readonly EndpointState[], choice: Choice): EndpointState | undefined {
  let best: EndpointState | undefined;
  let bestRank = -1;
  for (const state of states) {
    if (choice.tried.has(state)) continue;
    const lame = state.lameUntilMs > choice.nowMs;
    const rank = hash(`${choice.client} ${state.name}`) + (lame ? 0 : 2 ** 32);
    if (rank > bestRank) [best, bestRank] = [state, rank];
  }
  return best;
}
