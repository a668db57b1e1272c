/**
 * The members of an etcd cluster: one of them is spoken to at a time, the leader where it can be
 * reached, the next one as soon as it fails. What was asked is asked again until its time is over.
 */
import { type Clock, sleep } from "#base/clock.ts";
import { messageOf, OperatorError, TimeoutError } from "#base/errors.ts";
import { createGrpc, GrpcError, grpcCodes, type TalkingGrpc } from "#base/grpc.ts";
import type { NetworkEndpoint } from "#base/http2.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { type StatusAnswer, statusAnswer } from "#store/etcd/messages.ts";
import { StorageError } from "#store/store.ts";

/** PEM texts. */
export interface EtcdTls {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface MembersOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT`, at least one. */
  readonly urls: readonly string[];
  readonly tls?: EtcdTls;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Answer {
  readonly bytes: Uint8Array;
  /** An earlier attempt failed, and may have been carried out all the same. */
  readonly again: boolean;
}

const BACKOFF_MS_FIRST = 20;
const BACKOFF_MS_MAX = 500;
const PORT = 2379;
const STATUS = "etcdserverpb.Maintenance/Status";
const EMPTY = new Uint8Array();

/** @throws OperatorError naming the address that is none. */
export function endpointOf(text: string, tls: EtcdTls | undefined): NetworkEndpoint {
  const url = URL.parse(text);
  if (url === null || !["http:", "https:"].includes(url.protocol) || url.hostname === "") {
    const wanted = "expected http://HOST:PORT or https://HOST:PORT";
    throw new OperatorError(`--datastore: "${text}" is no address of etcd, ${wanted}`);
  }
  const hostname = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? PORT : Number(url.port);
  return url.protocol === "https:" ? { hostname, port, tls: { ...tls } } : { hostname, port };
}

/** Another member, or the same one later, may do better. */
function mayGetBetter(error: unknown): boolean {
  if (error instanceof TimeoutError) return true;
  if (!(error instanceof GrpcError)) return false;
  // While a leader hands over it takes nothing; etcd gives that no code of its own.
  return error.code === grpcCodes.unavailable || /raft proposal dropped/.test(error.message);
}

export class Members {
  readonly #options: MembersOptions;
  readonly #endpoints: readonly NetworkEndpoint[];
  #at = 0;
  #current: TalkingGrpc | undefined;
  /** Of members that were left for the leader: what they were asked is answered yet. */
  readonly #left = new Set<TalkingGrpc>();
  #closed = false;
  /** Failures since a member answered. */
  #failures = 0;
  /** Which one hung last, and when: it may still say that it leads. */
  #silent: { at: number; sinceMs: number } | undefined;

  constructor(options: MembersOptions) {
    this.#options = options;
    this.#endpoints = options.urls.map((url) => endpointOf(url, options.tls));
  }

  /** The member that is spoken to. */
  current(): TalkingGrpc {
    if (this.#closed) throw new StorageError("the datastore is closed");
    this.#current ??= this.#connect(this.#index);
    return this.#current;
  }

  get #index(): number {
    return this.#at % this.#endpoints.length;
  }

  #connect(at: number): TalkingGrpc {
    const endpoint = this.#endpoints[at];
    if (endpoint === undefined) throw new StorageError("the datastore has no address");
    return createGrpc({
      endpoint,
      connectMsMax: limits.etcdConnectMsMax,
      // Watches of a member that lost its leader end, so that another is asked.
      metadata: { hasleader: "true" },
    });
  }

  /**
   * Speaks to the leader from now on, where another member is spoken to: that one has to ask it for
   * each read and each write. Never fails: with no leader in reach all stays as it is.
   */
  async preferLeader(): Promise<void> {
    const before = this.current();
    const { member: own, leader } = await this.#statusOf(before);
    if (leader === own || leader === 0) return;
    const others = this.#endpoints.keys().filter((at) => at !== this.#index && !this.#hung(at));
    const asked = [...others].map(async (at) => {
      const member = this.#connect(at);
      const status = await this.#statusOf(member);
      return { at, member, isLeader: status.member === leader && status.leader === leader };
    });
    for (const { at, member, isLeader } of await Promise.all(asked)) {
      if (isLeader && this.#current === before && !this.#closed) this.#move(at, before, member);
      else member.close();
    }
  }

  #hung(at: number): boolean {
    const { at: silent, sinceMs } = this.#silent ?? { at: -1, sinceMs: 0 };
    return at === silent && this.#options.clock.monotonic() - sinceMs < limits.etcdSilentMs;
  }

  async #statusOf(member: TalkingGrpc): Promise<StatusAnswer> {
    try {
      const bytes = await member.unary(STATUS, EMPTY, { timeoutMs: limits.etcdLeaderMsMax });
      return statusAnswer(bytes);
    } catch {
      return { member: 0, leader: 0 };
    }
  }

  #move(at: number, before: TalkingGrpc, leader: TalkingGrpc): void {
    const { clock, log, urls } = this.#options;
    log.info("speaking to the leader of etcd", { url: urls[at] });
    this.#at = at;
    this.#current = leader;
    this.#left.add(before);
    // By then all that it was asked is over but the watch, which goes on at the leader.
    clock.after(limits.etcdAttemptMsMax, () => {
      this.#left.delete(before);
      before.close();
    });
  }

  /** That one does not serve: the next one is spoken to from now on. */
  failed(member: TalkingGrpc, error: unknown): void {
    if (member !== this.#current) return;
    this.#current = undefined;
    member.close();
    if (this.#closed) return;
    const url = this.#options.urls[this.#index];
    const { clock, log } = this.#options;
    if (error instanceof TimeoutError) {
      this.#silent = { at: this.#index, sinceMs: clock.monotonic() };
    }
    this.#at++;
    this.#failures++;
    // While none serves, it is said ever more rarely.
    if ((this.#failures & (this.#failures - 1)) !== 0) return;
    log.warn("etcd member does not serve", { url, error: messageOf(error) });
  }

  /** That one does serve. */
  served(): void {
    if (this.#failures > 1) this.#options.log.info("etcd serves again");
    this.#failures = 0;
  }

  /**
   * @throws StorageError when no member answers in time, GrpcError for what etcd itself refuses.
   */
  async call(method: string, message: Uint8Array): Promise<Answer> {
    const { clock } = this.#options;
    const end = clock.monotonic() + limits.etcdMsMax;
    let pause = BACKOFF_MS_FIRST;
    for (let attempt = 0; ; attempt++) {
      const member = this.current();
      try {
        const timeoutMs = limits.etcdAttemptMsMax;
        const bytes = await member.unary(method, message, { timeoutMs });
        this.served();
        return { bytes, again: attempt > 0 };
      } catch (error) {
        if (!mayGetBetter(error)) throw error;
        this.failed(member, error);
        if (this.#closed || clock.monotonic() + pause > end) {
          throw new StorageError(`etcd does not answer: ${messageOf(error)}`, { cause: error });
        }
        await sleep(clock, pause);
        pause = Math.min(pause * 2, BACKOFF_MS_MAX);
      }
    }
  }

  close(): void {
    this.#closed = true;
    for (const member of [this.#current, ...this.#left]) member?.close();
    this.#current = undefined;
    this.#left.clear();
  }
}
