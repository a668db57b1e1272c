/**
 * Asks other servers, with a cache in front: one question under way at a time for each name, the
 * next server when one does not answer, an old answer when none does.
 */

import { AnswerCache } from "#agents/dns/cache.ts";
import type { Upstream } from "#agents/dns/upstreams.ts";
import type { Query } from "#agents/dns/wire.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { compoundKey } from "#base/key.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

/** One question to one server over UDP or TCP; rejects when it does not answer in time. */
export type Exchange = (
  question: Uint8Array,
  upstream: Upstream,
  stream: boolean,
) => Promise<Uint8Array>;

export interface ForwarderOptions {
  clock: Clock;
  log: Log;
  exchange: Exchange;
}

const nameOf = ({ address, port }: Upstream): string => `${address} ${port}`;

/**
 * Everything that the answer depends on: the rest of the message, without the id and the name's
 * case.
 */
function keyOf(question: Uint8Array, query: Query, stream: boolean): string {
  const rest = Buffer.from(question.subarray(query.end)).toString("latin1");
  const flags = query.flags & 0x0110;
  const numbers = `${stream ? "t" : "u"} ${query.type} ${query.class} ${flags}`;
  return compoundKey(numbers, query.name, rest);
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #cache = new AnswerCache();
  readonly #underWay = new Map<string, Promise<Uint8Array>>();
  /** Servers that did not answer, until when they are asked last. */
  readonly #lame = new Map<string, number>();

  constructor(options: ForwarderOptions) {
    this.#options = options;
  }

  /** At once where the cache has it. Rejects when nobody answers. */
  ask(
    question: Uint8Array,
    query: Query,
    upstreams: readonly Upstream[],
    stream: boolean,
  ): Uint8Array | Promise<Uint8Array> {
    const key = keyOf(question, query, stream);
    const { clock } = this.#options;
    const cached = this.#cache.get(key, question, query.end, clock.monotonic());
    if (cached !== undefined) return cached;
    return this.#shared(key, question, upstreams, stream).then(
      (answer) => ours(answer, question, query.end),
      (error: unknown) => {
        const old = this.#cache.get(key, question, query.end, clock.monotonic(), true);
        if (old !== undefined) return old;
        throw error;
      },
    );
  }

  #shared(
    key: string,
    question: Uint8Array,
    upstreams: readonly Upstream[],
    stream: boolean,
  ): Promise<Uint8Array> {
    const known = this.#underWay.get(key);
    if (known !== undefined) return known;
    if (this.#underWay.size >= limits.dnsForwardsMax) {
      return Promise.reject(new Error("too many questions under way"));
    }
    const asking = this.#askInTurn(question, upstreams, stream)
      .then((answer) => {
        this.#cache.put(key, answer, this.#options.clock.monotonic());
        return answer;
      })
      .finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asking);
    return asking;
  }

  async #askInTurn(
    question: Uint8Array,
    upstreams: readonly Upstream[],
    stream: boolean,
  ): Promise<Uint8Array> {
    const { clock, exchange, log } = this.#options;
    const nowMs = clock.monotonic();
    const lame = (one: Upstream) => ((this.#lame.get(nameOf(one)) ?? 0) > nowMs ? 1 : 0);
    let failure: unknown = new Error("no upstream server");
    for (const upstream of upstreams.toSorted((a, b) => lame(a) - lame(b))) {
      try {
        const answer = await exchange(question, upstream, stream);
        this.#lame.delete(nameOf(upstream));
        return answer;
      } catch (error) {
        failure = error;
        if (lame(upstream) === 0) {
          log.warn("upstream DNS does not answer", {
            server: upstream.address,
            error: messageOf(error),
          });
        }
        this.#lame.set(nameOf(upstream), clock.monotonic() + limits.dnsLameMs);
      }
    }
    throw failure;
  }
}

/** The answer with this asker's id and spelling. */
function ours(answer: Uint8Array, question: Uint8Array, end: number): Uint8Array {
  const bytes = Buffer.from(answer);
  bytes.set(question.subarray(0, 2), 0);
  if (bytes.length >= end) bytes.set(question.subarray(12, end), 12);
  return bytes;
}
