/** Which endpoints one request has been sent to, and which comes next. */
import type { Balancer, EndpointState } from "#agents/ingress/balancer.ts";
import type { Backend } from "#agents/ingress/plan.ts";
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";

export interface AttemptsParts {
  balancer: Balancer;
  clock: Clock;
}

type States = ReadonlySet<EndpointState>;

const NONE: States = new Set();

export class Attempts {
  readonly #parts: AttemptsParts;
  readonly #backend: Backend;
  readonly #client: string;
  /** Not asked again. */
  #failed = NONE;
  /** Too slow to connect: asked again after all others, and waited for longer. */
  #late = NONE;
  #rounds = 0;
  /** Waited for connections that did not come. */
  #waitedMs = 0;
  #sent = 0;
  /** What became of each, in order. */
  story = "";
  /** Connections tried. */
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
    const nowMs = this.#parts.clock.monotonic();
    if (!this.#mayGoOn()) return undefined;
    const state = this.#choose(nowMs, this.#late) ?? this.#again(nowMs);
    if (state === undefined) return undefined;
    this.count++;
    this.atMs = nowMs;
    return state;
  }

  /** For the one chosen last: a packet that was lost is sent again sooner by a new connection. */
  get connectMsMax(): number {
    const leftMs = limits.ingressReachMsMax - this.#waitedMs;
    return Math.min(limits.ingressConnectMsMax * 2 ** this.#rounds, leftMs);
  }

  hasOther(state: EndpointState): boolean {
    const nowMs = this.#parts.clock.monotonic();
    return this.#mayGoOn() && this.#choose(nowMs, new Set([state])) !== undefined;
  }

  sent(): void {
    this.#sent++;
  }

  failed(state: EndpointState, why: string): void {
    this.#failed = new Set(this.#failed).add(state);
    this.#tell(state, why);
  }

  late(state: EndpointState): void {
    // As long as it was to be waited for: a stall of ours is not the endpoint's.
    const waitedMs = this.connectMsMax;
    this.#late = new Set(this.#late).add(state);
    this.#waitedMs += waitedMs;
    this.#tell(state, `took no connection in ${waitedMs} ms`);
  }

  #tell({ name }: EndpointState, why: string): void {
    this.story += `${this.story === "" ? "" : ", "}${name} ${why}`;
  }

  #mayGoOn(): boolean {
    const { ingressAttemptsMax, ingressSentMax, ingressReachMsMax } = limits;
    if (this.count >= ingressAttemptsMax || this.#sent >= ingressSentMax) return false;
    return this.#waitedMs < ingressReachMsMax;
  }

  /** All were too slow: from the first one on. */
  #again(nowMs: number): EndpointState | undefined {
    if (this.#late.size === 0) return undefined;
    this.#late = NONE;
    this.#rounds++;
    return this.#choose(nowMs, NONE);
  }

  #choose(nowMs: number, but: States): EndpointState | undefined {
    const tried = but.size === 0 ? this.#failed : new Set([...this.#failed, ...but]);
    return this.#parts.balancer.choose(this.#backend, { nowMs, client: this.#client, tried });
  }
}
