/** What the objects of a namespace use, as running sums that cost a change the same in any size. */
import type { CacheChange, Caches, Sum, Tally } from "#client/cache.types.ts";
import { sumUp } from "#client/tally.ts";
import type { Kind } from "#resources/kind.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import { toNano } from "#resources/quantity.ts";
import { groupedUsage, type UsageGroup, usageOf } from "#resources/quotausage.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface Content {
  readonly kind: Kind;
  readonly sums: ReadonlyArray<Sum<UsageGroup>>;
  /** Everything up to this resourceVersion is in the sums; empty where it is not known. */
  readonly position: string;
}

const tallyOf = (kind: Kind): Tally<ApiObject, UsageGroup> => ({
  name: "quota",
  share: (object) => ({
    at: object.metadata.namespace ?? "",
    ...groupedUsage(kind, object),
  }),
});

/** Kinds of which more than the number counts. */
const tallies: ReadonlyMap<Kind, Tally<ApiObject, UsageGroup>> = new Map(
  [pods, services, persistentVolumeClaims].map((kind) => [kind, tallyOf(kind)]),
);

export const isMeasured = (kind: Kind): boolean => tallies.has(kind);

/** Of a kind that is counted by number, as its only group. */
function numbered(kind: Kind, objects: number): ReadonlyArray<Sum<UsageGroup>> {
  const one = Object.keys(usageOf(kind, {}, 0));
  return [{ group: {}, objects, amounts: new Map(one.map((name) => [name, toNano(objects)])) }];
}

/** Nothing but its status changed, and no phase began: so are most changes of a pod. */
function isIdle(before: Stored<Pod>, after: Stored<Pod>): boolean {
  const { generation, deletionTimestamp } = before.metadata;
  return (
    generation !== undefined &&
    generation === after.metadata.generation &&
    deletionTimestamp === after.metadata.deletionTimestamp &&
    before.status?.phase === after.status?.phase
  );
}

/** Whether an object counts otherwise than before. */
export function countsAnew(kind: Kind, { before, after }: CacheChange<ApiObject>): boolean {
  if (before === undefined || after === undefined) return true;
  if (kind === pods && isIdle(before, after)) return false;
  const shown = (object: Stored) => JSON.stringify(groupedUsage(kind, object));
  return shown(before) !== shown(after);
}

/** From the caches: no object is gone through. */
export function contentOf(kind: Kind, namespace: string, caches: Caches): Content {
  const tally = tallies.get(kind);
  const cache = tally === undefined ? caches.metadataOf(kind) : caches.of(kind);
  const sums =
    tally === undefined ? numbered(kind, cache.count(namespace)) : cache.sums(tally, namespace);
  return { kind, sums, position: cache.position };
}

/** The same of a list. */
export function contentIn(kind: Kind, objects: ReadonlyArray<Stored>, position: string): Content {
  const tally = tallies.get(kind);
  const sums = tally === undefined ? numbered(kind, objects.length) : sumUp(tally, objects);
  return { kind, sums, position };
}
