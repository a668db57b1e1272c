/** A Fetch that fails now and then, is slow, and holds and cuts watches, as a seed says. */
import { type Clock, sleep } from "#base/clock.ts";
import type { Fetch } from "#client/client.ts";
import { seededRandom } from "#test/support/random.ts";

export interface Chance {
  /** In [0, 1). */
  next(): number;
  /** An integer from 0 up to, and without, `below`. */
  below(below: number): number;
  pick<T>(list: readonly T[]): T | undefined;
}

export function chanceOf(seed: number): Chance {
  const { next } = seededRandom(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  return { next, below, pick: (list) => list[below(list.length)] };
}

interface Gate {
  resource: string;
  flush(): void;
  cut(): void;
}

function answer(code: number, reason: string): Response {
  const body = { kind: "Status", apiVersion: "v1", code, reason, message: `injected ${reason}` };
  return Response.json(body, { status: code });
}

/** Share of requests that are slow while others are. */
const SLOW_SHARE = 0.3;

/** Of a process that was killed: nobody is there to hear. */
const silence = <T>(): Promise<T> => new Promise<T>(() => {});

export class FaultyFetch {
  readonly #inner: Fetch;
  readonly #chance: Chance;
  readonly #clock: Clock;
  readonly #gates = new Set<Gate>();
  #life = 0;
  /** Share of writes that fail: half of them after they were done. */
  rate = 0;
  /** Some requests, and some answers, are under way for up to this long: so they change order. */
  slowMs = 0;
  /** Resources whose watch events are held back. */
  readonly held = new Set<string>();

  constructor(inner: Fetch, chance: Chance, clock: Clock) {
    this.#inner = inner;
    this.#chance = chance;
    this.#clock = clock;
  }

  /** A Fetch for one life of a process: dead after the next `sever`. */
  connect(): Fetch {
    const life = this.#life;
    return async (request) => {
      if (this.#life !== life) return silence();
      const response = await this.#send(request);
      return this.#life === life ? response : silence();
    };
  }

  /** The process is killed: its watches end, its answers reach nobody. */
  sever(): void {
    this.#life++;
    this.cutAll();
  }

  async #send(request: Request): Promise<Response> {
    const url = new URL(request.url);
    if (request.method === "GET") {
      const response = await this.#inner(request);
      const isWatch = url.searchParams.get("watch") === "true" && response.ok;
      return isWatch ? this.#gated(response, url.pathname.split("/").at(-1) ?? "") : response;
    }
    const roll = this.#chance.next();
    if (roll < this.rate / 4) return answer(503, "ServiceUnavailable");
    if (roll < this.rate / 2) return answer(409, "Conflict");
    await this.#dawdle();
    const response = await this.#inner(request);
    if (roll < this.rate) {
      await response.body?.cancel();
      return answer(500, "InternalError");
    }
    await this.#dawdle();
    return response;
  }

  async #dawdle(): Promise<void> {
    if (this.slowMs === 0 || this.#chance.next() >= SLOW_SHARE) return;
    await sleep(this.#clock, this.#chance.next() * this.slowMs);
  }

  /** Ends every watch; clients go on from where they were, or list again. */
  cutAll(): void {
    for (const gate of [...this.#gates]) gate.cut();
  }

  /** Lets what was held go, of one resource or of all. */
  release(resource?: string): void {
    if (resource === undefined) this.held.clear();
    else this.held.delete(resource);
    for (const gate of this.#gates) if (!this.held.has(gate.resource)) gate.flush();
  }

  #gated(response: Response, resource: string): Response {
    const reader = response.body?.getReader();
    if (reader === undefined) return response;
    const waiting: Uint8Array[] = [];
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => {
        const end = (): void => {
          this.#gates.delete(gate);
          void reader.cancel().catch(() => {});
        };
        const gate: Gate = {
          resource,
          flush: () => {
            for (const chunk of waiting.splice(0)) controller.enqueue(chunk);
          },
          cut: () => {
            end();
            controller.close();
          },
        };
        this.#gates.add(gate);
        const pump = async (): Promise<void> => {
          for (;;) {
            const { done, value } = await reader.read();
            if (!this.#gates.has(gate)) return;
            if (done) return gate.cut();
            if (this.held.has(resource)) waiting.push(value);
            else controller.enqueue(value);
          }
        };
        pump().catch(() => this.#gates.has(gate) && gate.cut());
      },
      cancel: () => {
        void reader.cancel().catch(() => {});
      },
    });
    return new Response(stream, { status: response.status, headers: response.headers });
  }
}
