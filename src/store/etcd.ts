/**
 * The datastore that several servers share: etcd decides and keeps, this server's memory answers
 * readers. One watch brings every server the same changes in the same order; a read first asks etcd
 * how far the newest revision is (https://etcd.io/docs/v3.6/learning/api_guarantees/).
 */
import { type Clock, repeat } from "#base/clock.ts";
import { GrpcError } from "#base/grpc.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import { claimMissing, rewriteSealed } from "#store/etcd/atstart.ts";
import { CatchUp } from "#store/etcd/catchup.ts";
import { CLAIMS, Claims } from "#store/etcd/claims.ts";
import { follow } from "#store/etcd/follow.ts";
import { itemOf } from "#store/etcd/item.ts";
import { EtcdKeys, takePlace } from "#store/etcd/keys.ts";
import { loadAll } from "#store/etcd/load.ts";
import { type EtcdTls, Members } from "#store/etcd/members.ts";
import {
  compactRequest,
  type Guard,
  type KeyValue,
  txnAnswer,
  txnRequest,
  type WatchAnswer,
  type WatchEvent,
} from "#store/etcd/messages.ts";
import { isOwnKey, PLACE, SERVER_KEYS, TERM } from "#store/etcd/place.ts";
import { restsOf, unmet } from "#store/etcd/rests.ts";
import type { Entry } from "#store/objects.ts";
import { openRow, type Sealing, sealValue } from "#store/sealed.ts";
import type { StoreLimits } from "#store/sqlite.ts";
import * as contract from "#store/store.ts";
import { View } from "#store/view.ts";

type Item = contract.Item;

export interface EtcdStoreOptions {
  /** `http://HOST:PORT` or `https://HOST:PORT`, at least one. */
  readonly urls: readonly string[];
  readonly tls?: EtcdTls;
  /** What the cluster's keys begin with, as `/bramble/`. */
  readonly prefix: string;
  readonly codec: contract.Codec;
  readonly clock: Clock;
  readonly log: Log;
  readonly limits?: Partial<StoreLimits>;
  readonly sealing?: Sealing;
}

const TXN = "etcdserverpb.KV/Txn";
const COMPACT = "etcdserverpb.KV/Compact";
const LEFT = "the datastore was moved while this server ran";

/** A write on its way: its event in the watch needs no parsing. */
interface Own {
  readonly value: string | undefined;
  /** As it lies in etcd. */
  readonly stored: string | undefined;
  readonly terms: contract.Terms | undefined;
  /** What the newest event of the key made. */
  item?: Item;
}

class EtcdStore implements contract.Store {
  readonly #options: EtcdStoreOptions;
  readonly #limits: StoreLimits;
  readonly #members: Members;
  readonly #view: View;
  readonly #catchUp: CatchUp;
  readonly #claims: Claims;
  readonly #ending = new AbortController();
  /** The last write of each key that is on its way: the next one goes after it. */
  readonly #tails = new Map<string, Promise<unknown>>();
  readonly #own = new Map<string, Own>();
  #writing = 0;
  /** Added to etcd's revisions; the place that says so, and etcd's own revision of it. */
  #offset = 0;
  #guard: Guard;
  #left = false;

  constructor(options: EtcdStoreOptions) {
    this.#options = options;
    this.#limits = { ...limits, ...options.limits };
    this.#members = new Members(options);
    this.#view = new View(this.#limits, options);
    this.#claims = new Claims(options.codec);
    this.#guard = { key: options.prefix + PLACE, revision: 0 };
    this.#catchUp = new CatchUp({
      ...{ members: this.#members, prefix: options.prefix, clock: options.clock },
      revision: () => this.#view.revision,
      offset: () => this.#offset,
      guard: () => this.#guard,
      onGuardLost: () => this.#leave(),
    });
  }

  async open(): Promise<void> {
    const { prefix, clock, log } = this.#options;
    const keys = new EtcdKeys(this.#members, prefix);
    const { offset, at } = await takePlace(keys, log);
    this.#offset = offset;
    this.#guard = { ...this.#guard, revision: at };
    await this.#putRight(await this.#load());
    this.#assertOpen();
    follow({
      members: this.#members,
      prefix,
      offset: this.#offset,
      clock,
      log,
      signal: this.#ending.signal,
      revision: () => this.#view.revision,
      onAnswer: (answer) => this.#heard(answer),
      onLost: () => this.#startOver(),
    });
    // A member that hangs is left for another one, also when nobody asks for anything. What fails
    // is told by the members, and followed at the next one.
    void repeat(clock, limits.etcdLookMs, this.#ending.signal, async () => {
      await this.#catchUp.fresh().catch(() => undefined);
      if (!this.#ending.signal.aborted) await this.#members.preferLeader();
    });
  }

  revision(): number {
    return this.#view.revision;
  }

  async get(key: string): Promise<Item | undefined> {
    await this.#fresh();
    return this.#view.get(key)?.item;
  }

  known(key: string): Item | undefined {
    this.#assertOpen();
    return this.#view.get(key)?.item;
  }

  async list(options: contract.ListOptions): Promise<contract.Page> {
    this.#assertOpen();
    if ((options.revision ?? Number.POSITIVE_INFINITY) > this.#view.revision) await this.#fresh();
    return this.#view.list(options);
  }

  count(prefix: string): number {
    return this.#view.count(prefix);
  }

  async write(write: contract.Write): Promise<Item> {
    this.#assertOpen();
    if (this.#writing >= this.#limits.storeQueueMax) {
      throw new contract.BusyError("too many writes are waiting for etcd");
    }
    this.#writing++;
    const before = this.#tails.get(write.key);
    const done = (before ?? Promise.resolve()).then(() => this.#send(write));
    const tail = done.catch(() => undefined);
    this.#tails.set(write.key, tail);
    try {
      return await done;
    } finally {
      this.#writing--;
      if (this.#tails.get(write.key) === tail) this.#tails.delete(write.key);
    }
  }

  watch(options: contract.WatchOptions): contract.Watch {
    this.#assertOpen();
    return this.#view.watch(options);
  }

  async beginTerm({ key, revision }: contract.Seen): Promise<contract.Term | undefined> {
    const keys = new EtcdKeys(this.#members, this.#options.prefix);
    const seen = { key, revision: revision - this.#offset };
    const begun = await keys.beginTerm(seen, this.#guard.revision);
    return begun === undefined ? undefined : { revision: begun };
  }

  async compact(revision: number): Promise<void> {
    this.#assertOpen();
    this.#view.compact(revision);
    if (revision <= this.#offset) return;
    try {
      await this.#members.call(COMPACT, compactRequest(revision - this.#offset));
    } catch (error) {
      // Another server was first.
      if (!(error instanceof GrpcError && /compacted/.test(error.message))) throw error;
    }
  }

  historyBytes(): number {
    return this.#view.historyBytes;
  }

  async close(): Promise<void> {
    if (this.#ending.signal.aborted) return;
    await Promise.allSettled(this.#tails.values());
    this.#ending.abort();
    const reason = new Error("the datastore closed");
    this.#members.close();
    this.#catchUp.close(reason);
    this.#view.endWatches(reason);
  }

  #assertOpen(): void {
    if (this.#ending.signal.aborted) throw new Error("the datastore is closed");
    if (this.#left) throw new contract.StorageError(LEFT);
  }

  /** What is no object. The place has to be as at the start; new keys are told of. */
  #isOwn({ key, value, modRevision }: KeyValue, isNew: boolean): boolean {
    const { prefix, sealing } = this.#options;
    const name = key.slice(prefix.length);
    if (!isOwnKey(name)) return false;
    if (name === PLACE && modRevision !== this.#guard.revision + this.#offset) this.#leave();
    if (name === SERVER_KEYS && isNew) sealing?.onKeys(value);
    return true;
  }

  /** Somebody took the objects away, or is about to: what is here is shown to nobody any more. */
  #leave(): void {
    if (this.#left) return;
    this.#left = true;
    this.#options.log.error(`${LEFT}: start it again`);
    const reason = new contract.StorageError(LEFT);
    this.#view.endWatches(reason);
    this.#catchUp.close(reason);
  }

  /** This memory has all that was acknowledged anywhere before the call. */
  async #fresh(): Promise<void> {
    this.#assertOpen();
    await this.#catchUp.fresh();
    this.#assertOpen();
  }

  async #send(write: contract.Write): Promise<Item> {
    const { key, value, expect } = write;
    // Another server told of it, or may have deleted it.
    const here = this.known(key)?.revision ?? 0;
    if (expect === 0 ? here > 0 : expect > here) await this.#fresh();
    const now = this.known(key);
    if ((now?.revision ?? 0) !== expect) throw new contract.ConflictError(key, now);
    const { takes, drops } = await this.#claiming(key, now, value);
    const sentAt = this.#view.revision;
    const stored = value && sealValue(this.#options.sealing?.sealer, { key, value });
    const own: Own = { value, stored, terms: write.terms };
    this.#own.set(key, own);
    try {
      const { prefix } = this.#options;
      const request = txnRequest({
        key: `${prefix}${key}`,
        value: stored,
        expect: expect === 0 ? 0 : expect - this.#offset,
        guard: this.#guard,
        rests: restsOf(write, prefix, this.#offset),
        ...(write.term && { also: { key: prefix + TERM, revision: write.term.revision } }),
        takes: takes.map((name) => ({ key: `${prefix}${CLAIMS}${name}`, value: key })),
        drops: drops.map((name) => `${prefix}${CLAIMS}${name}`),
      });
      const { bytes, again } = await this.#members.call(TXN, request);
      const answer = txnAnswer(bytes, this.#offset);
      if (!answer.succeeded && answer.guard !== this.#guard.revision) this.#leave();
      await this.#catchUp.until(answer.revision);
      this.#assertOpen();
      if (!answer.succeeded && write.term && answer.also !== write.term.revision) {
        throw new contract.StorageError("another server leads");
      }
      if (answer.succeeded) return this.#written(key, own, answer.revision);
      const isThere = answer.current?.modRevision ?? 0;
      if (isThere === expect) throw unmet(this.#view, write, now, takes);
      if (again) return this.#afterLostAnswer(write, sentAt);
      throw new contract.ConflictError(key, this.known(key));
    } catch (error) {
      if (!(error instanceof GrpcError)) throw error;
      throw new contract.StorageError(`etcd refused a write: ${error.message}`, { cause: error });
    } finally {
      this.#own.delete(key);
    }
  }

  async #claiming(key: string, now: Item | undefined, value: string | undefined) {
    const claiming = this.#claims.plan(key, now, value);
    if (claiming.refused.length === 0) return claiming;
    // It may have been let go of through another server.
    await this.#fresh();
    const again = this.#claims.plan(key, now, value);
    if (again.refused.length > 0) throw new contract.ClaimedError(key, now, again.refused);
    return again;
  }

  /** An attempt whose answer was lost may have been the first that changed what stood there. */
  #afterLostAnswer({ key, expect, value }: contract.Write, sentAt: number): Item {
    const change = this.#view.firstChange(key, sentAt);
    const text = value && this.#options.codec.stamp(value, change?.revision ?? 0);
    if (change && text !== (change.type === "put" ? change.item.value : undefined)) {
      throw new contract.ConflictError(key, this.#view.get(key)?.item);
    }
    // What is created has an identity of its own: nobody else wrote the same.
    if (change && expect === 0) return change.item;
    throw new contract.StorageError("etcd changed its leader, the write may have been done");
  }

  /** What the write at this revision made. */
  #written(key: string, own: Own, revision: number): Item {
    if (own.item?.revision === revision) return own.item;
    const change = this.#view.firstChange(key, revision - 1);
    if (change?.revision === revision) return change.item;
    throw new contract.StorageError(`written at revision ${revision}, but changes were missed`);
  }

  #heard({ events }: WatchAnswer): void {
    const changes: contract.Change[] = [];
    for (const event of events) {
      this.#claims.heard(event, this.#options.prefix);
      if (this.#isOwn(event.item, event.type === "put")) continue;
      const change = this.#change(event);
      if (change !== undefined) changes.push(change);
    }
    if (this.#left) return;
    this.#view.reach(events.at(-1)?.item.modRevision ?? 0);
    this.#view.publish(changes);
    this.#catchUp.reached(this.#view.revision);
  }

  #change({ type, item: found }: WatchEvent): contract.Change | undefined {
    const key = found.key.slice(this.#options.prefix.length);
    const entry = this.#view.get(key);
    const previous = entry?.item;
    const revision = found.modRevision;
    if (revision <= this.#view.revision) return undefined;
    let item: Item;
    if (type === "put") {
      item = this.#itemOf(key, found);
    } else {
      if (previous === undefined) return undefined;
      const value = this.#options.codec.stamp(previous.value, revision);
      item = { ...previous, value, revision };
    }
    const change = { type, revision, item, ...(previous && { previous }) };
    const own = this.#own.get(key);
    if (own !== undefined) own.item = item;
    this.#view.apply(change, entry?.id ?? found.createRevision);
    return change;
  }

  #itemOf(key: string, found: KeyValue): Item {
    const { codec } = this.#options;
    const revision = found.modRevision;
    const own = this.#own.get(key);
    const isOwn = own?.stored === found.value && own.value !== undefined;
    const sealer = this.#options.sealing?.sealer;
    const plain = isOwn ? own.value : openRow(sealer, { key, value: found.value });
    const text = codec.stamp(plain, revision);
    return itemOf({ key, value: text, revision }, codec, isOwn ? own.terms : undefined);
  }

  /** All that is there, as of one revision. */
  async #load(): Promise<{ found: readonly KeyValue[]; items: Item[] }> {
    const { prefix } = this.#options;
    const { found, revision } = await loadAll(this.#members, prefix, this.#offset);
    const entries: Entry[] = [];
    for (const each of found) {
      if (this.#isOwn(each, true)) continue;
      const item = this.#itemOf(each.key.slice(prefix.length), each);
      entries.push({ id: each.createRevision, item });
    }
    this.#claims.load(found, prefix);
    this.#view.load(entries, Math.max(this.#view.revision, revision));
    return { found, items: entries.map(({ item }) => item) };
  }

  async #putRight({ found, items }: { found: readonly KeyValue[]; items: Item[] }): Promise<void> {
    const { prefix, sealing } = this.#options;
    const parts = { members: this.#members, prefix, offset: this.#offset, guard: this.#guard };
    await claimMissing(parts, this.#claims, items);
    if (sealing === undefined) return;
    const count = await rewriteSealed(parts, sealing.sealer, found);
    if (count > 0) sealing.onRewritten(count);
  }

  /** Changes were missed: readers list again. */
  async #startOver(): Promise<void> {
    this.#options.log.warn("etcd compacted what was not seen yet, loading all again");
    await this.#load();
    this.#view.endWatches(new contract.GoneError("changes were missed"));
    this.#catchUp.reached(this.#view.revision);
  }
}

/** @throws OperatorError when an address is none; StorageError when etcd does not answer. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<contract.Store> {
  const store = new EtcdStore(options);
  try {
    await store.open();
  } catch (error) {
    await store.close();
    throw error;
  }
  return store;
}
