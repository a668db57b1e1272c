/** The keys of one prefix as they are, without a view of them: for who brings or takes them all. */
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Members } from "#store/etcd/members.ts";
import {
  clearRequest,
  type Guard,
  type KeyValue,
  keyRequest,
  type PutInput,
  putAllRequest,
  rangeAnswer,
  rangeRequest,
  txnAnswer,
  txnRequest,
} from "#store/etcd/messages.ts";
import { assertUsable, isOwnKey, PLACE, type Place, placeOf, TERM } from "#store/etcd/place.ts";

const RANGE = "etcdserverpb.KV/Range";
const TXN = "etcdserverpb.KV/Txn";

/** Revisions are etcd's own here. */
export interface FoundPlace {
  readonly place: Place | undefined;
  /** Of its last change; 0: there is none. */
  readonly at: number;
  /** The newest one of etcd. */
  readonly revision: number;
}

export class EtcdKeys {
  readonly #members: Members;
  readonly #prefix: string;

  constructor(members: Members, prefix: string) {
    this.#members = members;
    this.#prefix = prefix;
  }

  async place(): Promise<FoundPlace> {
    const { bytes } = await this.#members.call(RANGE, keyRequest(this.#prefix + PLACE));
    const { items, revision } = rangeAnswer(bytes);
    const [found] = items;
    if (found === undefined) return { place: undefined, at: 0, revision };
    return { place: placeOf(found.value), at: found.modRevision, revision };
  }

  /** Answers the revision of the change; undefined where the place is not as at `expect` any more. */
  async setPlace(place: Place, expect: number): Promise<number | undefined> {
    const value = JSON.stringify(place);
    const request = txnRequest({ key: this.#prefix + PLACE, value, expect });
    const { bytes, again } = await this.#members.call(TXN, request);
    const { succeeded, revision, current } = txnAnswer(bytes);
    if (succeeded) return revision;
    // The attempt whose answer was lost was carried out.
    return again && current?.value === value ? current.modRevision : undefined;
  }

  async get(key: string): Promise<KeyValue | undefined> {
    const { bytes } = await this.#members.call(RANGE, keyRequest(this.#prefix + key));
    return rangeAnswer(bytes).items[0];
  }

  /**
   * Puts a key that is as at `expect`, 0: is not there, while the place is as at `at`. Answers the
   * revision; undefined where one of them is not so.
   */
  async put({ key, value }: PutInput, expect: number, at: number): Promise<number | undefined> {
    const input = { key: this.#prefix + key, value, expect, guard: this.#guard(at) };
    const { bytes, again } = await this.#members.call(TXN, txnRequest(input));
    const { succeeded, revision, current } = txnAnswer(bytes);
    if (succeeded) return revision;
    return again && current?.value === value ? current.modRevision : undefined;
  }

  /**
   * Begins a term while `seen` and the place are as they were. Answers its revision; undefined
   * where one of them is not so, or another one began a term at the same time.
   */
  async beginTerm(seen: Guard, at: number): Promise<number | undefined> {
    const before = await this.get(TERM);
    const request = txnRequest({
      key: this.#prefix + TERM,
      value: JSON.stringify(seen),
      expect: before?.modRevision ?? 0,
      guard: this.#guard(at),
      also: { ...seen, key: this.#prefix + seen.key },
    });
    const { succeeded, revision } = txnAnswer((await this.#members.call(TXN, request)).bytes);
    return succeeded ? revision : undefined;
  }

  /** What has the prefix `from`, as of one revision; keys without the store's prefix. */
  async *all(from = "", revision = 0): AsyncGenerator<KeyValue> {
    let asOf = revision;
    let after: string | undefined;
    for (;;) {
      const request = rangeRequest({
        prefix: this.#prefix + from,
        limit: limits.etcdPageMax,
        revision: asOf,
        ...(after !== undefined && { after }),
      });
      const answer = rangeAnswer((await this.#members.call(RANGE, request)).bytes);
      if (asOf === 0) asOf = answer.revision;
      for (const item of answer.items) {
        const key = item.key.slice(this.#prefix.length);
        if (!isOwnKey(key)) yield { ...item, key };
      }
      after = answer.items.at(-1)?.key;
      if (!answer.more || after === undefined) return;
    }
  }

  /** False where the place is not as at `at` any more; then nothing was done. */
  async putAll(puts: readonly PutInput[], at: number): Promise<boolean> {
    const named = puts.map(({ key, value }) => ({ key: this.#prefix + key, value }));
    const { bytes } = await this.#members.call(TXN, putAllRequest(named, this.#guard(at)));
    return txnAnswer(bytes).succeeded;
  }

  /** Deletes all but the place. As `putAll`. */
  async clear(at: number): Promise<boolean> {
    const request = clearRequest(this.#prefix, this.#prefix + PLACE, this.#guard(at));
    const { bytes } = await this.#members.call(TXN, request);
    return txnAnswer(bytes).succeeded;
  }

  #guard(revision: number): Guard {
    return { key: this.#prefix + PLACE, revision };
  }
}

/**
 * For a server: what is added to etcd's revisions, and etcd's own one of the place that says so.
 * @throws OperatorError where the objects are not to be used here.
 */
export async function takePlace(keys: EtcdKeys, log: Log): Promise<{ offset: number; at: number }> {
  const { place, at } = await keys.place();
  if (place === undefined) return { offset: 0, at };
  assertUsable(place);
  const { offset } = place;
  if (place.state === "ready") return { offset, at };
  const now = await keys.setPlace({ ...place, state: "ready" }, at);
  if (now === undefined) return takePlace(keys, log);
  log.warn("a migration to elsewhere did not finish: the cluster stays in etcd");
  return { offset, at: now };
}
