/**
 * Keeps pods that each have an identity: one at a time and in order, or side by side
 * (kubernetes.io/docs/concepts/workloads/controllers/statefulset). There is never a second pod of
 * an identity: a new one is made only when the object of the old one is gone.
 */
import type { Action, Failure, Plan } from "#client/controller.ts";
import { scaledValue } from "#controllers/common/number.ts";
import { claim } from "#controllers/common/owner.ts";
import { deleteAction, patchAction } from "#controllers/common/patch.ts";
import { availableInMs, isReady, isTerminal } from "#controllers/common/pods.ts";
import {
  claimRevisions,
  collision,
  type Histories,
  pruneRevisions,
  REVISION_HASH,
  type Revision,
  revisionOf,
  revisionsFor,
} from "#controllers/common/revisions.ts";
import {
  type Claims,
  hasStaleClaim,
  missingClaims,
  retention,
} from "#controllers/statefulset/claims.ts";
import {
  firstOrdinal,
  missingLabels,
  ordinalOf,
  statefulPod,
} from "#controllers/statefulset/identity.ts";
import { type Counts, statusActions } from "#controllers/statefulset/status.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod, StatefulSet } from "#resources/types.gen.ts";

export interface State extends Histories {
  set: Stored<StatefulSet>;
  owned: ReadonlyArray<Stored<Pod>>;
  free: ReadonlyArray<Stored<Pod>>;
  /** Claims of the namespace that its templates name. */
  claims: Claims;
}

interface Run {
  set: Stored<StatefulSet>;
  current: Revision;
  update: Revision;
  claims: Claims;
  now: number;
  /** One at a time, in order. */
  ordered: boolean;
  /** Pods by ordinal, within and beyond the wanted range. */
  within: Map<number, Stored<Pod>>;
  beyond: Map<number, Stored<Pod>>;
  first: number;
  replicas: number;
  actions: Action[];
}

function note(
  set: Stored<StatefulSet>,
  type: "Normal" | "Warning",
  reason: string,
  message: string,
) {
  return { do: "event", about: set, type, reason, message } as const;
}

function isAvailable({ set, now }: Run, pod: Stored<Pod> | undefined): boolean {
  if (pod === undefined || pod.metadata.deletionTimestamp !== undefined) return false;
  if (pod.status?.phase !== "Running" || !isReady(pod)) return false;
  return availableInMs(pod, set.spec?.minReadySeconds ?? 0, now) === 0;
}

function remove(run: Run, pod: Stored<Pod>): void {
  const { set } = run;
  const message = `delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`;
  run.actions.push(deleteAction(podKind, pod), note(set, "Normal", "SuccessfulDelete", message));
}

/** Below the partition pods keep the current revision; the update goes to those above. */
function revisionFor({ set, current, update, first }: Run, ordinal: number): Revision {
  const strategy = set.spec?.updateStrategy;
  if (strategy?.type !== "RollingUpdate") return update;
  const kept = strategy.rollingUpdate
    ? (strategy.rollingUpdate.partition ?? 0)
    : (set.status?.currentReplicas ?? 0);
  return ordinal < first + kept ? current : update;
}

/** True where nothing after this ordinal may be looked at now. */
function replica(run: Run, ordinal: number): boolean {
  const { set, claims, ordered } = run;
  const pod = run.within.get(ordinal);
  if (pod === undefined) {
    if (hasStaleClaim(set, ordinal, claims)) return true;
    const object = statefulPod(set, ordinal, revisionFor(run, ordinal));
    const name = object.metadata?.name;
    const message = `create Pod ${name} in StatefulSet ${set.metadata.name} successful`;
    run.actions.push(
      ...missingClaims(set, ordinal, claims),
      { do: "create", kind: podKind, object },
      note(set, "Normal", "SuccessfulCreate", message),
    );
    return ordered;
  }
  if (isTerminal(pod)) {
    // It ended, whatever its exit code was: it is started anew once it is gone.
    if (pod.metadata.deletionTimestamp === undefined) remove(run, pod);
    return ordered;
  }
  if (pod.status?.phase === "Pending") run.actions.push(...missingClaims(set, ordinal, claims));
  if (ordered && !isAvailable(run, pod)) return true;
  const labels = missingLabels(set, pod);
  if (labels !== undefined) {
    run.actions.push(...patchAction(podKind, pod, { metadata: { ...pod.metadata, labels } }));
  }
  run.actions.push(...retention(set, pod, ordinal, { claims, surplus: false }));
  return false;
}

/** Pods past the wanted number go from the highest ordinal down. True: wait. */
function surplus(run: Run): boolean {
  const { set, claims, ordered, beyond } = run;
  const ordinals = [...beyond.keys()].sort((a, b) => b - a);
  for (const ordinal of ordinals) {
    const pod = beyond.get(ordinal);
    if (pod === undefined) continue;
    run.actions.push(...retention(set, pod, ordinal, { claims, surplus: true }));
  }
  const lowestSick = ordinals.findLast((ordinal) => !isAvailable(run, beyond.get(ordinal)));
  for (const ordinal of ordinals) {
    const pod = beyond.get(ordinal);
    if (pod === undefined) continue;
    if (pod.metadata.deletionTimestamp !== undefined) {
      if (ordered) return true;
      continue;
    }
    // In order each waits for the others to be well, but for the sick one itself; what has ended
    // will never be well.
    const mayRecover = !isAvailable(run, pod) && !isTerminal(pod);
    if (ordered && mayRecover && ordinal !== lowestSick) return true;
    remove(run, pod);
    if (ordered) return true;
  }
  return ordinals.length > 0;
}

/** Replaces pods of another revision from the highest ordinal down, a few at a time. */
function roll(run: Run): void {
  const { set, update, within, first, replicas } = run;
  const strategy = set.spec?.updateStrategy;
  if (strategy?.type === "OnDelete") return;
  const partition = strategy?.rollingUpdate?.partition ?? 0;
  const asked = strategy?.rollingUpdate?.maxUnavailable;
  const most = Math.max(1, scaledValue(asked, replicas, "down", 1));
  let missing = 0;
  for (let ordinal = first; ordinal < first + replicas; ordinal++) {
    if (!isAvailable(run, within.get(ordinal))) missing++;
  }
  for (let ordinal = first + replicas - 1; ordinal >= first + partition; ordinal--) {
    const pod = within.get(ordinal);
    if (pod === undefined) continue;
    const well = isAvailable(run, pod);
    const old = pod.metadata.labels?.[REVISION_HASH] !== update.name;
    if (old && pod.metadata.deletionTimestamp === undefined) {
      // A pod that is not well costs nothing to replace.
      if (well && missing >= most) return;
      remove(run, pod);
      missing += Number(well);
      if (most === 1) return;
    } else if (!well && missing >= most) {
      return;
    }
  }
}

function act(run: Run): void {
  const { first, replicas, ordered } = run;
  let waits = false;
  for (let ordinal = first; ordinal < first + replicas; ordinal++) {
    if (!replica(run, ordinal)) continue;
    waits = true;
    if (ordered) return;
  }
  if (surplus(run) || waits) return;
  roll(run);
}

function counts(run: Run): Counts {
  const { set, current, update, within, beyond } = run;
  const all = [...within.values(), ...beyond.values()];
  const running = all.filter((pod) => pod.status?.phase === "Running" && isReady(pod));
  const standing = all.filter((pod) => pod.metadata.deletionTimestamp === undefined);
  const of = (revision: Revision) =>
    standing.filter((pod) => pod.metadata.labels?.[REVISION_HASH] === revision.name).length;
  const seconds = set.spec?.minReadySeconds ?? 0;
  const waits = running.map((pod) => availableInMs(pod, seconds, run.now) ?? 0);
  const later = waits.filter((ms) => ms > 0);
  return {
    replicas: all.length,
    readyReplicas: running.length,
    availableReplicas: waits.filter((ms) => ms === 0).length,
    currentReplicas: of(current),
    updatedReplicas: of(update),
    ...(later.length > 0 && { againMs: Math.min(...later) }),
  };
}

export function plan(state: State, now: number): Plan {
  const { set } = state;
  const { mine, actions } = claim({
    ownerKind: statefulSets,
    owner: set,
    selector: set.spec?.selector,
    kind: podKind,
    owned: state.owned,
    free: state.free.filter((pod) => ordinalOf(set, pod.metadata.name) !== undefined),
  });
  const history = claimRevisions(statefulSets, set, state);
  const { update, known, actions: made } = revisionsFor(statefulSets, set, history.mine);
  const found = known.find((one) => one.metadata.name === set.status?.currentRevision);
  const current = found === undefined ? update : revisionOf(found);
  const first = firstOrdinal(set);
  const replicas = set.spec?.replicas ?? 1;
  const run: Run = {
    set,
    current,
    update,
    claims: state.claims,
    now,
    ordered: set.spec?.podManagementPolicy !== "Parallel",
    within: new Map(),
    beyond: new Map(),
    first,
    replicas,
    actions: [],
  };
  for (const pod of mine) {
    const ordinal = ordinalOf(set, pod.metadata.name);
    if (ordinal === undefined) continue;
    const into = ordinal >= first && ordinal < first + replicas ? run.within : run.beyond;
    into.set(ordinal, pod);
  }
  const deleting = set.metadata.deletionTimestamp !== undefined;
  if (!deleting) act(run);
  const told = counts(run);
  const used = new Set(mine.map((pod) => pod.metadata.labels?.[REVISION_HASH]));
  const prune = pruneRevisions(set, known, ({ name }) => {
    return used.has(name) || name === current.name || name === update.name;
  });
  return {
    actions: [
      ...actions,
      ...(deleting ? [] : [...history.actions, ...made]),
      ...run.actions,
      ...statusActions(set, { current, update }, told),
      ...(deleting ? [] : prune),
    ],
    ...(told.againMs !== undefined && { againMs: told.againMs }),
  };
}

export function failed(state: State, failure: Failure): Action[] {
  const { set } = state;
  const { action, message, code } = failure;
  const collided = collision(statefulSets, set, failure, state);
  if (collided.length > 0) return collided;
  if (action.do !== "create" || (code === 409 && action.kind !== podKind)) return [];
  if (message.includes("because it is being terminated")) return [];
  const { name } = action.object.metadata ?? {};
  const what = action.kind === podKind ? `Pod ${name}` : `Claim ${name}`;
  const text = `create ${what} in StatefulSet ${set.metadata.name} failed error: ${message}`;
  return [note(set, "Warning", "FailedCreate", text)];
}
