/**
 * How many replicas each ReplicaSet of a Deployment gets
 * (kubernetes.io/docs/concepts/workloads/controllers/deployment: rolling update, proportional
 * scaling).
 */
import { scaledValue } from "#controllers/common/number.ts";
import {
  DESIRED,
  type Draft,
  isActiveSet,
  MAX,
  oldestFirst,
  sum,
} from "#controllers/deployment/draft.ts";
import type { Deployment } from "#resources/types.gen.ts";

export interface Bounds {
  desired: number;
  maxSurge: number;
  maxUnavailable: number;
  rolling: boolean;
}

/** Surge rounds up and unavailable down; where both come to nothing one pod may be missing. */
export function boundsOf(deployment: Deployment): Bounds {
  const desired = deployment.spec?.replicas ?? 1;
  const strategy = deployment.spec?.strategy;
  if (strategy?.type === "Recreate")
    return { desired, maxSurge: 0, maxUnavailable: 0, rolling: false };
  const maxSurge = scaledValue(strategy?.rollingUpdate?.maxSurge, desired, "up", 0);
  const down = scaledValue(strategy?.rollingUpdate?.maxUnavailable, desired, "down", 0);
  const maxUnavailable = maxSurge === 0 && down === 0 ? 1 : down;
  return { desired, maxSurge, maxUnavailable: Math.min(maxUnavailable, desired), rolling: true };
}

function resize(draft: Draft, replicas: number, bounds: Bounds): void {
  draft.replicas = replicas;
  annotate(draft, bounds);
}

/** The size for which a set was scaled: how a later plan sees that the Deployment was scaled. */
export function annotate(draft: Draft, { desired, maxSurge }: Bounds): void {
  draft.annotations[DESIRED] = String(desired);
  draft.annotations[MAX] = String(desired + maxSurge);
}

/** Size of the new set in a rolling update: as far as surge allows, never above what is desired. */
export function grownSize(fresh: Draft, all: readonly Draft[], bounds: Bounds): number {
  const { desired, maxSurge, rolling } = bounds;
  if (!rolling || fresh.replicas >= desired) return desired;
  const room = desired + maxSurge - sum(all, (draft) => Math.max(draft.present, draft.replicas));
  if (room <= 0) return fresh.replicas;
  return fresh.replicas + Math.min(room, desired - fresh.replicas);
}

/** One step of a rolling update: the new set up, the old ones down, as far as the bounds allow. */
export function rollForward(fresh: Draft, old: readonly Draft[], bounds: Bounds): void {
  const all = [...old, fresh];
  const size = grownSize(fresh, all, bounds);
  if (size !== fresh.replicas) resize(fresh, size, bounds);
  // Who counts as available pods that are told to go already takes away too many.
  if (all.some(({ pending }) => pending)) return;
  const shrinking = old.filter(isActiveSet).sort(oldestFirst);
  const minAvailable = bounds.desired - bounds.maxUnavailable;
  const missing = fresh.replicas - fresh.available;
  let room = sum(all, (draft) => draft.replicas) - minAvailable - missing;
  if (room <= 0) return;
  // Pods that are not available go first: losing them costs nothing, and they would block the rest.
  for (const draft of shrinking) {
    const unhealthy = Math.max(0, draft.replicas - draft.available);
    const step = Math.min(room, unhealthy);
    if (step > 0) resize(draft, draft.replicas - step, bounds);
    room -= step;
  }
  const available = (draft: Draft) => Math.min(draft.available, draft.replicas);
  let spare = sum(all, available) - minAvailable;
  for (const draft of shrinking) {
    const step = Math.min(draft.replicas, spare);
    if (step <= 0) continue;
    resize(draft, draft.replicas - step, bounds);
    spare -= step;
  }
}

/** Some active set was last sized for another number of replicas. */
export function isScaling(drafts: readonly Draft[], { desired }: Bounds): boolean {
  return drafts.some((draft) => {
    const known = draft.annotations[DESIRED];
    return (
      isActiveSet(draft) && known !== undefined && /^\d+$/.test(known) && Number(known) !== desired
    );
  });
}

/** The only active set, or the newest when none is active; undefined when several are. */
function activeOrLatest(fresh: Draft | undefined, old: readonly Draft[]): Draft | undefined {
  const all = fresh === undefined ? old : [...old, fresh];
  const active = all.filter(isActiveSet);
  if (active.length > 1) return undefined;
  return active[0] ?? fresh ?? [...old].sort(oldestFirst).at(-1);
}

const isSaturated = (fresh: Draft | undefined, { desired }: Bounds): boolean =>
  fresh !== undefined &&
  fresh.replicas === desired &&
  fresh.annotations[DESIRED] === String(desired) &&
  fresh.available === desired;

/** Scales outside of a rollout: one set takes all, several share in proportion to their size. */
export function scale(
  fresh: Draft | undefined,
  old: readonly Draft[],
  bounds: Bounds,
  statusReplicas: number,
): void {
  const one = activeOrLatest(fresh, old);
  if (one !== undefined) {
    resize(one, bounds.desired, bounds);
  } else if (isSaturated(fresh, bounds)) {
    for (const draft of old) if (isActiveSet(draft)) resize(draft, 0, bounds);
  } else if (bounds.rolling) {
    scaleInProportion(fresh, old, bounds, statusReplicas);
  }
}

function scaleInProportion(
  fresh: Draft | undefined,
  old: readonly Draft[],
  bounds: Bounds,
  statusReplicas: number,
): void {
  const active = [...old, ...(fresh === undefined ? [] : [fresh])].filter(isActiveSet);
  const allowed = bounds.desired > 0 ? bounds.desired + bounds.maxSurge : 0;
  const toAdd = allowed - sum(active, (draft) => draft.replicas);
  // The largest first; of one size the newer ones grow first and the older ones shrink first.
  active.sort(
    (a, b) => b.replicas - a.replicas || (toAdd > 0 ? oldestFirst(b, a) : oldestFirst(a, b)),
  );
  let added = 0;
  for (const draft of active) {
    const share = toAdd === 0 ? 0 : fraction(draft, bounds, statusReplicas);
    const left = toAdd - added;
    const step = toAdd > 0 ? Math.min(share, left) : Math.max(share, left);
    added += step;
    resize(draft, draft.replicas + step, bounds);
  }
  const largest = active[0];
  if (largest === undefined) return;
  largest.replicas = Math.max(0, largest.replicas + toAdd - added);
}

function fraction(draft: Draft, bounds: Bounds, statusReplicas: number): number {
  if (bounds.desired === 0) return -draft.replicas;
  const known = Number(draft.annotations[MAX]);
  const before = Number.isInteger(known) && known > 0 ? known : statusReplicas;
  if (before === 0) return 0;
  const size = (draft.replicas * (bounds.desired + bounds.maxSurge)) / before;
  return Math.round(size) - draft.replicas;
}
