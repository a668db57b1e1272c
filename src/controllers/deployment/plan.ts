/** Rolls a Deployment's pods from one template to the next by scaling ReplicaSets. */
import type { Action, Failure, Plan } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { claim } from "#controllers/common/owner.ts";
import { deleteAction, patchAction, statusAction } from "#controllers/common/patch.ts";
import { timeText } from "#controllers/common/time.ts";
import {
  type Draft,
  draftOf,
  oldestFirst,
  REVISION,
  writeDrafts,
} from "#controllers/deployment/draft.ts";
import { byRevision, hasTemplate, newSet, syncRevision } from "#controllers/deployment/revision.ts";
import {
  annotate,
  boundsOf,
  grownSize,
  isScaling,
  rollForward,
  scale,
} from "#controllers/deployment/rollout.ts";
import { isComplete, statusOf } from "#controllers/deployment/status.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import type { Stored } from "#resources/meta.ts";
import type { Deployment, ReplicaSet } from "#resources/types.gen.ts";

export interface State {
  deployment: Stored<Deployment>;
  /** ReplicaSets that it controls. */
  owned: ReadonlyArray<Stored<ReplicaSet>>;
  /** ReplicaSets of the namespace that nobody controls. */
  free: ReadonlyArray<Stored<ReplicaSet>>;
  /** Uids of owned sets that still have a pod which did not end: asked by Recreate only. */
  running: ReadonlySet<string>;
}

interface Sets {
  fresh: Draft | undefined;
  old: Draft[];
}

function setsOf(deployment: Stored<Deployment>, mine: ReadonlyArray<Stored<ReplicaSet>>): Sets {
  const drafts = mine.map(draftOf).sort(oldestFirst);
  // Of several sets with the template (after an upgrade of defaults) the oldest is the current one.
  const fresh = drafts.find(({ set }) => set !== undefined && hasTemplate(set, deployment));
  return { fresh, old: drafts.filter((draft) => draft !== fresh) };
}

/** Old sets past the history limit, once the rollout is complete. */
function cleanup(deployment: Stored<Deployment>, old: readonly Draft[]): Action[] {
  const limit = deployment.spec?.revisionHistoryLimit;
  if (limit === undefined || limit >= 0x7fffffff) return [];
  const alive = old.flatMap(({ set }) =>
    set !== undefined && set.metadata.deletionTimestamp === undefined ? [set] : [],
  );
  return alive
    .sort(byRevision)
    .slice(0, Math.max(0, alive.length - limit))
    .flatMap((set) => {
      const empty = (set.spec?.replicas ?? 1) === 0 && (set.status?.replicas ?? 0) === 0;
      const seen = (set.metadata.generation ?? 0) <= (set.status?.observedGeneration ?? 0);
      return empty && seen ? [deleteAction(replicaSets, set)] : [];
    });
}

function recreate(state: State, sets: Sets): void {
  const { deployment, running } = state;
  const bounds = boundsOf(deployment);
  const shrinking = sets.old.filter((draft) => draft.replicas > 0);
  for (const draft of shrinking) {
    draft.replicas = 0;
    annotate(draft, bounds);
  }
  // A set that has not answered yet may be making a pod of its former size right now.
  const busy = sets.old.some(
    ({ set, pending, present }) => pending || present > 0 || running.has(set?.metadata.uid ?? ""),
  );
  if (shrinking.length > 0 || busy) return;
  sets.fresh ??= newSet(deployment);
  const size = grownSize(sets.fresh, [], bounds);
  if (size === sets.fresh.replicas && sets.fresh.set !== undefined) return;
  sets.fresh.replicas = size;
  annotate(sets.fresh, bounds);
}

function roll(deployment: Stored<Deployment>, sets: Sets): void {
  const bounds = boundsOf(deployment);
  if (sets.fresh === undefined) {
    sets.fresh = newSet(deployment);
    annotate(sets.fresh, bounds);
  }
  rollForward(sets.fresh, sets.old, bounds);
}

/**
 * The Deployment's own revision annotation follows that of its current set. It goes with the
 * status: a Deployment's annotations count as a new generation where its author writes them.
 */
function revisionAction(deployment: Stored<Deployment>, revision: bigint): Action[] {
  const annotations = { ...deployment.metadata.annotations, [REVISION]: String(revision) };
  const parts = { metadata: { ...deployment.metadata, annotations } };
  return patchAction(deployments, deployment, parts, { subresource: "status" });
}

export function plan(state: State, now: number): Plan {
  const { deployment } = state;
  const { mine, actions: claims } = claim({
    ownerKind: deployments,
    owner: deployment,
    selector: deployment.spec?.selector,
    kind: replicaSets,
    owned: state.owned,
    free: state.free,
  });
  const sets = setsOf(deployment, mine);
  const bounds = boundsOf(deployment);
  const deleting = deployment.metadata.deletionTimestamp !== undefined;
  const paused = deployment.spec?.paused === true;
  const all = (): Draft[] => [...sets.old, ...(sets.fresh === undefined ? [] : [sets.fresh])];
  const rollout = !deleting && !paused && !isScaling(all(), bounds);
  if (rollout && bounds.rolling) roll(deployment, sets);
  else if (rollout) recreate(state, sets);
  else if (!deleting) scale(sets.fresh, sets.old, bounds, deployment.status?.replicas ?? 0);
  const actions: Action[] = [...claims];
  if (sets.fresh !== undefined && !deleting) {
    const revision = syncRevision(deployment, sets.fresh, sets.old);
    actions.push(...writeDrafts(deployment, all()), ...revisionAction(deployment, revision));
  } else if (!deleting) {
    actions.push(...writeDrafts(deployment, all()));
  }
  const complete = isComplete(deployment, deployment.status ?? {});
  if (!deleting && (paused || (rollout && complete)))
    actions.push(...cleanup(deployment, sets.old));
  const { fresh, old } = sets;
  const { status, againMs } = statusOf({ deployment, bounds, fresh, old, rollout, now });
  actions.push(...statusAction(deployments, deployment, status));
  return againMs === undefined ? { actions } : { actions, againMs };
}

/**
 * A ReplicaSet that could not be made: another name for a collision, else an event and a condition.
 */
export function failed(state: State, failure: Failure, now: number): Action[] {
  const { deployment } = state;
  const { action, message: why, reason: code } = failure;
  if (action.do !== "create") return [];
  if (code === "AlreadyExists") {
    const collisionCount = (deployment.status?.collisionCount ?? 0) + 1;
    return statusAction(deployments, deployment, { ...deployment.status, collisionCount });
  }
  if (code === "Forbidden" && why.includes("because it is being terminated")) return [];
  const reason = "ReplicaSetCreateError";
  const message = `Failed to create new replica set "${action.object.metadata?.name}": ${why}`;
  const time = timeText(now);
  const conditions = withCondition(deployment.status?.conditions, {
    type: "Progressing",
    status: "False",
    reason,
    message,
    lastUpdateTime: time,
    lastTransitionTime: time,
  });
  return [
    { do: "event", about: deployment, type: "Warning", reason, message },
    ...statusAction(deployments, deployment, { ...deployment.status, conditions }),
  ];
}
