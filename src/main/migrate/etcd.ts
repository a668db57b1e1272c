/** The end of a migration that is an etcd: what is there, whether servers use it, the way in. */
import { type Clock, sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { EtcdKeys, FoundPlace } from "#store/etcd/keys.ts";
import type { Moved } from "./check.ts";
import type { SeenEtcd } from "./plan.ts";

/** Each server's; renewed three times in `serverLeaseMs`. */
const SERVER_LEASES = "coordination.k8s.io/leases/kube-system/";
const SERVER_LEASE = `${SERVER_LEASES}bramble-server-`;
const LOOK_MS = 200;

const SUPERSEDED = "another migration or a server took the place of this one: nothing is lost";

export async function seenOf(keys: EtcdKeys): Promise<SeenEtcd & { found: FoundPlace }> {
  const found = await keys.place();
  let objects = 0;
  for await (const _ of keys.all()) objects++;
  return { objects, revision: found.revision, place: found.place, found };
}

async function renewals(keys: EtcdKeys): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for await (const { key, modRevision } of keys.all(SERVER_LEASES)) {
    if (key.startsWith(SERVER_LEASE)) found.set(key.slice(SERVER_LEASE.length), modRevision);
  }
  return found;
}

/** Looks for as long as a server's Lease lasts. @throws OperatorError naming one that runs. */
export async function assertNoServer(keys: EtcdKeys, clock: Clock): Promise<void> {
  const before = await renewals(keys);
  if (before.size === 0) return;
  const end = clock.monotonic() + limits.serverLeaseMs;
  while (clock.monotonic() < end) {
    await sleep(clock, LOOK_MS);
    for (const [name, revision] of await renewals(keys)) {
      if (before.get(name) === revision) continue;
      throw new OperatorError(`server ${name} runs on this etcd`, {
        hint: "stop all servers of the cluster first",
      });
    }
  }
}

/** @throws OperatorError where somebody else took over; nothing was written then. */
export async function fill(keys: EtcdKeys, objects: readonly Moved[], at: number): Promise<void> {
  let batch: Moved[] = [];
  let bytes = 0;
  const send = async () => {
    if (batch.length > 0 && !(await keys.putAll(batch, at))) throw new OperatorError(SUPERSEDED);
    batch = [];
    bytes = 0;
  };
  for (const object of objects) {
    const size = object.key.length + Buffer.byteLength(object.value);
    const { migrationBatchMax, migrationBatchBytesMax } = limits;
    if (batch.length >= migrationBatchMax || bytes + size > migrationBatchBytesMax) await send();
    batch.push(object);
    bytes += size;
  }
  await send();
}

/** @throws OperatorError where it is not so. */
export function unlessSuperseded<T>(answer: T | undefined | false): T {
  if (answer === undefined || answer === false) throw new OperatorError(SUPERSEDED);
  return answer;
}
