/**
 * Leader election by a Lease, by client-go's rules: the holder renews it; others take it once it
 * was not renewed for its length on THEIR clock, so that clocks need not agree.
 */
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { leases } from "#resources/kinds/lease.ts";
import type { Stored } from "#resources/meta.ts";
import type { Lease, LeaseSpec } from "#resources/types.gen.ts";

export interface ElectOptions {
  client: Client;
  clock: Clock;
  random: Random;
  log: Log;
  namespace: string;
  name: string;
  /** Unique among those who stand for election. */
  identity: string;
  signal: AbortSignal;
  /**
   * What `lead` plans on. They are renewed first: a stand-by whose watch is behind would do again
   * what the last leader has done (a third pod where two were asked for).
   */
  caches: Pick<Caches, "renew">;
  /**
   * Called each time this one becomes the leader, with the client of its term; its signal aborts
   * when it is not any more.
   * `holds` asks the clock whether others still have to wait: a write that begins while it answers
   * true has the difference of `leaderLeaseMs` and `leaderRenewMsMax` to arrive.
   */
  lead(signal: AbortSignal, holds: () => boolean, client: Client): void;
  /**
   * Sees to it that nothing of earlier leaders arrives any more, where the Lease is still as it is
   * here. Answers the client of this term; undefined where it is not.
   */
  enter(lease: Stored<Lease>): Promise<Client | undefined>;
}

/** MicroTime as the API writes it. */
const microTime = (ms: number): string => new Date(ms).toISOString().replace("Z", "000Z");

class Election {
  readonly #o: ElectOptions;
  #seen = "";
  #seenAtMs = 0;

  constructor(options: ElectOptions) {
    this.#o = options;
  }

  /** The Lease where it is ours after this call. Throws where that cannot be known. */
  async try(): Promise<Stored<Lease> | undefined> {
    const { client, clock, namespace, name, identity } = this.#o;
    const now = microTime(clock.now());
    const lease = await client.get(leases, { namespace, name });
    const spec: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: limits.leaderLeaseMs / 1000,
      acquireTime: now,
      renewTime: now,
      leaseTransitions: 0,
    };
    if (lease === undefined) {
      return client.create(leases, { metadata: { namespace, name }, spec });
    }
    const held = lease.spec ?? {};
    const mine = held.holderIdentity === identity;
    if (!mine && this.#isAlive(lease)) return undefined;
    const acquireTime = mine ? (held.acquireTime ?? now) : now;
    const leaseTransitions = (held.leaseTransitions ?? 0) + (mine ? 0 : 1);
    const next = { ...spec, acquireTime, leaseTransitions };
    return client.update(leases, { ...lease, spec: next });
  }

  #isAlive(lease: Stored<Lease>): boolean {
    const { clock } = this.#o;
    const mark = JSON.stringify(lease.spec ?? {});
    if (mark !== this.#seen) {
      this.#seen = mark;
      this.#seenAtMs = clock.monotonic();
    }
    const lengthMs = (lease.spec?.leaseDurationSeconds ?? limits.leaderLeaseMs / 1000) * 1000;
    return Boolean(lease.spec?.holderIdentity) && clock.monotonic() < this.#seenAtMs + lengthMs;
  }

  /** Gives the Lease back, so that another one need not wait. */
  async release(): Promise<void> {
    const { client, namespace, name, identity } = this.#o;
    const lease = await client.get(leases, { namespace, name });
    if (lease?.spec?.holderIdentity !== identity) return;
    const spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 };
    await client.update(leases, { ...lease, spec });
  }
}

async function begin(
  { caches, lead }: ElectOptions,
  term: AbortSignal,
  holds: () => boolean,
  client: Client,
): Promise<void> {
  await caches.renew();
  if (!term.aborted) lead(term, holds, client);
}

/** Stands for election until the signal aborts; resolves after the Lease was given back. */
export async function standForElection(options: ElectOptions): Promise<void> {
  const { clock, random, log, signal, name, enter } = options;
  const election = new Election(options);
  let term: AbortController | undefined;
  /** When the request went out that others saw last: their wait begins there at the earliest. */
  let heldAtMs = Number.NEGATIVE_INFINITY;
  /** Not before it: what was under way when the own last term ended may still arrive. */
  let beginAtMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    try {
      const askedAtMs = clock.monotonic();
      const heldUntilMs = heldAtMs + limits.leaderRenewMsMax;
      const limitMs = term === undefined ? limits.leaderRenewMsMax : heldUntilMs - askedAtMs;
      // A call that hangs must not keep a leader in office.
      const limit = sleep(clock, Math.max(0, limitMs), signal).then(() => undefined);
      const lease = await Promise.race([election.try(), limit]);
      if (lease !== undefined) {
        heldAtMs = askedAtMs;
        const rested = clock.monotonic() >= beginAtMs;
        const begins = term === undefined && rested && !signal.aborted;
        const client = begins ? await Promise.race([enter(lease), limit]) : undefined;
        if (client !== undefined) {
          log.info("leading", { lease: name });
          term = new AbortController();
          const { signal: own } = term;
          const holds = () =>
            !own.aborted && clock.monotonic() - heldAtMs < limits.leaderRenewMsMax;
          void begin(options, own, holds, client);
        }
      } else {
        heldAtMs = Number.NEGATIVE_INFINITY;
      }
    } catch (error) {
      log.debug("the election's lease was not written", { error: messageOf(error) });
    }
    if (term !== undefined && clock.monotonic() - heldAtMs >= limits.leaderRenewMsMax) {
      log.warn("not leading any more", { lease: name });
      term.abort();
      term = undefined;
      beginAtMs = clock.monotonic() + limits.leaderLeaseMs - limits.leaderRenewMsMax;
    }
    const jitterMs = term === undefined ? limits.leaderRetryMs * 0.2 * random.next() : 0;
    await sleep(clock, limits.leaderRetryMs + jitterMs, signal);
  }
  const led = term !== undefined;
  term?.abort();
  if (led) await election.release().catch(() => {});
}
