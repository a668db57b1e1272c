/**
 * The messages of etcd's v3 API that the store sends and reads. Field numbers are those of etcd's
 * .proto files (rpc.proto, kv.proto), the same in 3.4 to 3.6.
 */
import { Fields, Writer } from "#base/proto.ts";

const encoder = new TextEncoder();

/** Revisions as the store gives them out: `offset` is added to all that etcd says. */
export interface KeyValue {
  readonly key: string;
  readonly value: string;
  readonly createRevision: number;
  readonly modRevision: number;
}

export interface TxnAnswer {
  readonly succeeded: boolean;
  readonly revision: number;
  /** What stands at the key where the comparison failed; undefined: nothing. */
  readonly current: KeyValue | undefined;
  /** Revision of the guard's last change where the comparison failed; 0: it does not exist. */
  readonly guard: number;
  /** The same of what was to be as it was seen beside the guard. */
  readonly also: number;
}

export interface RangeAnswer {
  readonly revision: number;
  readonly items: KeyValue[];
  readonly more: boolean;
}

export interface WatchEvent {
  readonly type: "put" | "delete";
  /** Of a delete: without a value. */
  readonly item: KeyValue;
}

export interface WatchAnswer {
  readonly revision: number;
  readonly created: boolean;
  /** Why the server ended the watch. */
  readonly cancelled: string | undefined;
  /** Set where the revision to begin with is compacted. */
  readonly compactRevision: number;
  readonly events: WatchEvent[];
}

const COMPARE_MOD_REVISION = 2;
const EVENT_DELETE = 1;
const SORT_ASCEND = 1;
const SORT_BY_KEY = 0;

/** The first key after all that begin with this prefix, which ends with a slash. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`;
}

function keyValue(fields: Fields, offset: number): KeyValue {
  return {
    key: fields.text(1),
    createRevision: fields.number(2) + offset,
    modRevision: fields.number(3) + offset,
    value: fields.text(5),
  };
}

const revisionOf = (answer: Fields, offset: number): number =>
  (answer.message(1)?.number(3) ?? 0) + offset;

/** A key and etcd's own revision of its last change; 0: it must not exist. */
export interface Guard {
  readonly key: string;
  readonly revision: number;
}

export interface PutInput {
  readonly key: string;
  readonly value: string;
}

export interface TxnInput {
  readonly key: string;
  /** Undefined: the key is deleted. */
  readonly value: string | undefined;
  /** etcd's own revision of the key's last change; 0: it must not exist. */
  readonly expect: number;
  /** Must hold too. */
  readonly guard?: Guard;
  /** Must hold too, where there is a guard. */
  readonly also?: Guard;
  /** Must hold too. */
  readonly rests?: readonly Guard[];
  /** Put with it; none of them may exist. */
  readonly takes?: readonly PutInput[];
  /** Deleted with it. */
  readonly drops?: readonly string[];
}

const compare = ({ key, revision }: Guard): Uint8Array =>
  new Writer()
    .number(2, COMPARE_MOD_REVISION)
    .bytes(3, encoder.encode(key))
    .number(6, revision)
    .done();

interface GuardParts {
  readonly compares: Uint8Array;
  readonly reads: Uint8Array;
}

/** The guard of a server's writes is one object as long as it stays the same: encoded once. */
const known = new WeakMap<Guard, GuardParts>();

function partsOf(guard: Guard): GuardParts {
  let parts = known.get(guard);
  if (parts === undefined) {
    parts = { compares: compare(guard), reads: readOperation(guard.key) };
    known.set(guard, parts);
  }
  return parts;
}

const putOperation = ({ key, value }: PutInput): Uint8Array =>
  new Writer()
    .bytes(2, new Writer().bytes(1, encoder.encode(key)).bytes(2, encoder.encode(value)).done())
    .done();

const deleteOperation = (key: string): Uint8Array =>
  new Writer().bytes(3, new Writer().bytes(1, encoder.encode(key)).done()).done();

const readOperation = (key: string): Uint8Array =>
  new Writer().bytes(1, new Writer().bytes(1, encoder.encode(key)).done()).done();

/** Writes where the revisions of key and guard are as expected, else reads both. */
export function txnRequest(input: TxnInput): Uint8Array {
  const { key, value, expect, guard, also, rests = [], takes = [], drops = [] } = input;
  const request = new Writer().bytes(1, compare({ key, revision: expect }));
  const guarded = guard && partsOf(guard);
  if (guarded !== undefined) request.bytes(1, guarded.compares);
  if (also !== undefined) request.bytes(1, compare(also));
  for (const rest of rests) request.bytes(1, compare(rest));
  for (const take of takes) request.bytes(1, compare({ key: take.key, revision: 0 }));
  request.bytes(2, value === undefined ? deleteOperation(key) : putOperation({ key, value }));
  for (const take of takes) request.bytes(2, putOperation(take));
  for (const drop of drops) request.bytes(2, deleteOperation(drop));
  request.bytes(3, readOperation(key));
  if (guarded !== undefined) request.bytes(3, guarded.reads);
  if (also !== undefined) request.bytes(3, readOperation(also.key));
  return request.done();
}

/** Puts all of them where the guards hold, as one revision. */
export function putAllRequest(
  puts: readonly PutInput[],
  guard: Guard,
  more: readonly Guard[] = [],
): Uint8Array {
  const request = new Writer().bytes(1, compare(guard));
  for (const each of more) request.bytes(1, compare(each));
  for (const put of puts) request.bytes(2, putOperation(put));
  return request.bytes(3, readOperation(guard.key)).done();
}

/** Deletes the keys with a prefix that come after `after`, where the guard holds. */
export function clearRequest(prefix: string, after: string, guard: Guard): Uint8Array {
  const range = new Writer()
    .bytes(1, encoder.encode(`${after}\0`))
    .bytes(2, encoder.encode(endOf(prefix)))
    .done();
  return new Writer()
    .bytes(1, compare(guard))
    .bytes(2, new Writer().bytes(3, range).done())
    .bytes(3, readOperation(guard.key))
    .done();
}

export function txnAnswer(bytes: Uint8Array, offset = 0): TxnAnswer {
  const answer = new Fields(bytes);
  const [found, guard, also] = answer.all(3).map((each) => new Fields(each).message(1)?.message(2));
  return {
    succeeded: answer.number(2) === 1,
    revision: revisionOf(answer, offset),
    current: found === undefined ? undefined : keyValue(found, offset),
    guard: guard?.number(3) ?? 0,
    also: also?.number(3) ?? 0,
  };
}

export interface RangeInput {
  readonly prefix: string;
  readonly after?: string;
  readonly limit: number;
  /** As of this revision of etcd's; default: the newest. */
  readonly revision?: number;
}

/** A page of the keys with a prefix, in order. Linearizable, as etcd's reads are by default. */
export function rangeRequest({ prefix, after, limit, revision = 0 }: RangeInput): Uint8Array {
  const from = after === undefined ? prefix : `${after}\0`;
  return new Writer()
    .bytes(1, encoder.encode(from))
    .bytes(2, encoder.encode(endOf(prefix)))
    .number(3, limit)
    .number(4, revision)
    .number(5, SORT_ASCEND)
    .number(6, SORT_BY_KEY)
    .done();
}

/** Reads nothing; its answer carries the newest revision that a majority knows, and the count. */
export function revisionRequest(key: string): Uint8Array {
  return new Writer().bytes(1, encoder.encode(key)).bool(8, true).bool(9, true).done();
}

/** Ids have 64 bits: numbers tell the few of one cluster apart, but say them to nobody. */
export interface StatusAnswer {
  readonly member: number;
  /** 0: none is known. */
  readonly leader: number;
}

export function statusAnswer(bytes: Uint8Array): StatusAnswer {
  const answer = new Fields(bytes);
  return { member: answer.message(1)?.number(2) ?? 0, leader: answer.number(4) };
}

/** Reads one key. */
export function keyRequest(key: string): Uint8Array {
  return new Writer().bytes(1, encoder.encode(key)).done();
}

export function rangeAnswer(bytes: Uint8Array, offset = 0): RangeAnswer {
  const answer = new Fields(bytes);
  return {
    revision: revisionOf(answer, offset),
    items: answer.all(2).map((item) => keyValue(new Fields(item), offset)),
    more: answer.number(3) === 1,
  };
}

export function watchRequest(prefix: string, from: number): Uint8Array {
  const create = new Writer()
    .bytes(1, encoder.encode(prefix))
    .bytes(2, encoder.encode(endOf(prefix)))
    .number(3, from)
    .done();
  return new Writer().bytes(1, create).done();
}

export function watchAnswer(bytes: Uint8Array, offset = 0): WatchAnswer {
  const answer = new Fields(bytes);
  return {
    revision: revisionOf(answer, offset),
    created: answer.number(3) === 1,
    cancelled: answer.number(4) === 1 ? answer.text(6) : undefined,
    compactRevision: answer.number(5),
    events: answer.all(11).map((each) => {
      const event = new Fields(each);
      const item = keyValue(event.message(2) ?? new Fields(new Uint8Array()), offset);
      return { type: event.number(1) === EVENT_DELETE ? "delete" : "put", item };
    }),
  };
}

export function compactRequest(revision: number): Uint8Array {
  return new Writer().number(1, revision).done();
}
