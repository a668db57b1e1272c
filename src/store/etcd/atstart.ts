/**
 * What a server that starts puts right in etcd: claims that objects do not have yet, and values in
 * another form than they would be written in now. Each portion holds while the objects are as they
 * were loaded; where they are not, another server does the same, or wrote them anew.
 */
import { limits } from "#base/limits.ts";
import type { Claims } from "#store/etcd/claims.ts";
import type { Members } from "#store/etcd/members.ts";
import {
  type Guard,
  type KeyValue,
  type PutInput,
  putAllRequest,
  txnAnswer,
} from "#store/etcd/messages.ts";
import { isOwnKey } from "#store/etcd/place.ts";
import { rewritten, type Sealer } from "#store/sealed.ts";
import type { Item } from "#store/store.ts";

export interface AtStart {
  readonly members: Members;
  readonly prefix: string;
  /** What is added to etcd's revisions. */
  readonly offset: number;
  readonly guard: Guard;
}

/** Whether it was done. Keys without the prefix. */
async function put(
  { members, prefix, guard }: AtStart,
  puts: readonly PutInput[],
  guards: readonly Guard[],
): Promise<boolean> {
  const request = putAllRequest(
    puts.map(({ key, value }) => ({ key: prefix + key, value })),
    guard,
    guards.map(({ key, revision }) => ({ key: prefix + key, revision })),
  );
  const { bytes } = await members.call("etcdserverpb.KV/Txn", request);
  return txnAnswer(bytes).succeeded;
}

/** For objects that were written before there were claims, or came from elsewhere. */
export async function claimMissing(
  parts: AtStart,
  claims: Claims,
  items: Iterable<Item>,
): Promise<void> {
  const own = (item: Item): number => item.revision - parts.offset;
  for (const { objects, claims: puts } of claims.missing(items, own)) {
    const absent = puts.map(({ key }) => ({ key, revision: 0 }));
    await put(parts, puts, [...objects, ...absent]);
  }
}

/** Answers how many values were written anew. @throws OperatorError where one cannot be opened. */
export async function rewriteSealed(
  parts: AtStart,
  sealer: Sealer,
  found: Iterable<KeyValue>,
): Promise<number> {
  const { prefix, offset } = parts;
  let count = 0;
  let puts: PutInput[] = [];
  let guards: Guard[] = [];
  let bytes = 0;
  const send = async (): Promise<void> => {
    if (puts.length > 0 && (await put(parts, puts, guards))) count += puts.length;
    puts = [];
    guards = [];
    bytes = 0;
  };
  for (const each of found) {
    const key = each.key.slice(prefix.length);
    const value = isOwnKey(key) ? undefined : rewritten(sealer, { key, value: each.value });
    if (value === undefined) continue;
    const { migrationBatchMax, migrationBatchBytesMax } = limits;
    if (puts.length >= migrationBatchMax || bytes + value.length > migrationBatchBytesMax) {
      await send();
    }
    puts.push({ key, value });
    guards.push({ key, revision: each.modRevision - offset });
    bytes += value.length;
  }
  await send();
  return count;
}
