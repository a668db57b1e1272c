/** Reads all keys of a prefix, page by page. */
import { limits } from "#base/limits.ts";
import type { Members } from "#store/etcd/members.ts";
import { type KeyValue, rangeAnswer, rangeRequest } from "#store/etcd/messages.ts";

export interface Loaded {
  readonly found: readonly KeyValue[];
  /** All of it is as of this one. */
  readonly revision: number;
}

/** Revisions with `offset` added. @throws StorageError where etcd does not answer. */
export async function loadAll(members: Members, prefix: string, offset: number): Promise<Loaded> {
  const found: KeyValue[] = [];
  let revision: number | undefined;
  for (;;) {
    const after = found.at(-1)?.key;
    const request = rangeRequest({
      prefix,
      limit: limits.etcdPageMax,
      ...(after !== undefined && { after }),
      ...(revision !== undefined && { revision: revision - offset }),
    });
    const { bytes } = await members.call("etcdserverpb.KV/Range", request);
    const answer = rangeAnswer(bytes, offset);
    revision ??= answer.revision;
    found.push(...answer.items);
    if (!answer.more || answer.items.length === 0) return { found, revision };
  }
}
