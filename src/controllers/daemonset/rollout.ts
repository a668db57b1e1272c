/** Which daemon pods make room for the new template, and where new ones start beside old ones. */
import { scaledValue } from "#controllers/common/number.ts";
import { availableInMs } from "#controllers/common/pods.ts";
import { REVISION_HASH } from "#controllers/common/revisions.ts";
import type { Fit } from "#controllers/daemonset/daemon.ts";
import type { Stored } from "#resources/meta.ts";
import type { DaemonSet, Pod } from "#resources/types.gen.ts";

/** One node: whether it should have a pod, and its pods, the oldest first. */
export interface Place {
  nodeName: string;
  fit: Fit;
  pods: ReadonlyArray<Stored<Pod>>;
}

export interface Steps {
  gone: Array<Stored<Pod>>;
  /** Nodes that get a pod beside the one they have. */
  made: string[];
}

export interface Options {
  set: Stored<DaemonSet>;
  places: readonly Place[];
  hash: string;
  now: number;
}

export function isAvailable(set: DaemonSet, pod: Pod | undefined, now: number): boolean {
  if (pod === undefined) return false;
  return availableInMs(pod, set.spec?.minReadySeconds ?? 0, now) === 0;
}

export function surgeOf(set: DaemonSet, desired: number): number {
  if (set.spec?.updateStrategy?.type !== "RollingUpdate") return 0;
  return scaledValue(set.spec.updateStrategy.rollingUpdate?.maxSurge, desired, "up", 0);
}

const isDeleting = (pod: Stored<Pod>): boolean => pod.metadata.deletionTimestamp !== undefined;

interface Pair {
  fresh: Stored<Pod> | undefined;
  old: Stored<Pod> | undefined;
  /** More than one of a sort: the main loop tidies up first. */
  crowded: boolean;
}

function pairOf({ pods }: Place, hash: string): Pair {
  const standing = pods.filter((pod) => !isDeleting(pod));
  const fresh = standing.filter((pod) => pod.metadata.labels?.[REVISION_HASH] === hash);
  const old = standing.filter((pod) => pod.metadata.labels?.[REVISION_HASH] !== hash);
  return { fresh: fresh[0], old: old[0], crowded: fresh.length > 1 || old.length > 1 };
}

/** Old pods go, a few at a time; the main loop then starts new ones on their nodes. */
function replace({ set, places, hash, now }: Options, maxUnavailable: number): Steps {
  const sick: Array<Stored<Pod>> = [];
  const candidates: Array<Stored<Pod>> = [];
  let missing = 0;
  for (const place of places) {
    const { fresh, old, crowded } = pairOf(place, hash);
    // A node that is about to get its pod misses it until then.
    if (place.pods.length === 0) missing += Number(place.fit.runs);
    else if (crowded || (fresh === undefined) === (old === undefined)) missing++;
    else if (fresh !== undefined) missing += Number(!isAvailable(set, fresh, now));
    else if (old !== undefined && isAvailable(set, old, now)) candidates.push(old);
    else if (old !== undefined) {
      // It gives nothing: replacing it costs nothing.
      sick.push(old);
      missing++;
    }
  }
  const room = Math.max(0, maxUnavailable - missing);
  return { gone: [...sick, ...candidates.slice(0, room)], made: [] };
}

/** New pods start beside old ones, which go once the new are available. */
function surge({ set, places, hash, now }: Options, maxSurge: number, desired: number): Steps {
  const gone: Array<Stored<Pod>> = [];
  const misplaced: Array<Stored<Pod>> = [];
  const made: string[] = [];
  const candidates: string[] = [];
  let under = 0;
  let available = 0;
  for (const place of places) {
    const { fresh, old, crowded } = pairOf(place, hash);
    if (crowded) {
      under++;
      continue;
    }
    available += Number(isAvailable(set, old ?? fresh, now));
    if (old === undefined) continue;
    if (fresh !== undefined) {
      if (isAvailable(set, fresh, now)) gone.push(old);
      else under++;
    } else if (!isAvailable(set, old, now)) {
      if (place.fit.runs) made.push(place.nodeName);
      else gone.push(old);
    } else if (!place.fit.runs) {
      misplaced.push(old);
    } else {
      candidates.push(place.nodeName);
    }
  }
  // Where nodes change, a pod goes only when another one took its part.
  gone.push(...misplaced.slice(0, Math.max(0, available - desired)));
  made.push(...candidates.slice(0, Math.max(0, maxSurge - under)));
  return { gone, made };
}

export function rollout(options: Options, desired: number): Steps {
  const { set } = options;
  const strategy = set.spec?.updateStrategy;
  if (strategy?.type !== "RollingUpdate") return { gone: [], made: [] };
  const maxSurge = surgeOf(set, desired);
  if (maxSurge > 0) return surge(options, maxSurge, desired);
  const most = scaledValue(strategy.rollingUpdate?.maxUnavailable, desired, "up", 1);
  return replace(options, Math.max(1, most));
}
