/**
 * Keeps as many pods of a template as asked for, and says so in the status: of ReplicaSets and of
 * ReplicationControllers, which differ in their selectors only.
 */
import type { Action, Failure, Plan } from "#client/controller.ts";
import { conditionOf, withCondition, withoutCondition } from "#controllers/common/conditions.ts";
import { suffixes } from "#controllers/common/hash.ts";
import { claim } from "#controllers/common/owner.ts";
import { deleteAction, statusAction } from "#controllers/common/patch.ts";
import {
  availableInMs,
  generatedName,
  isActive,
  isReady,
  podOf,
} from "#controllers/common/pods.ts";
import { deletionOrder } from "#controllers/common/rank.ts";
import { timeText } from "#controllers/common/time.ts";
import type { Kind } from "#resources/kind.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import type { ApiObject, Stored } from "#resources/meta.ts";
import type {
  LabelSelector,
  Pod,
  PodTemplateSpec,
  ReplicaSetStatus,
} from "#resources/types.gen.ts";

/** What both kinds have. */
export interface Replicas extends ApiObject {
  spec?: { replicas?: number; minReadySeconds?: number; template?: PodTemplateSpec };
  status?: ReplicaSetStatus;
}

export interface ReplicasState {
  kind: Kind<Replicas>;
  set: Stored<Replicas>;
  selector: LabelSelector | undefined;
  /** Pods that this set controls. */
  owned: ReadonlyArray<Stored<Pod>>;
  /** Pods of the namespace that nobody controls. */
  free: ReadonlyArray<Stored<Pod>>;
  /**
   * Active pods of the sets of the same owner, this one included: they should not crowd on a node.
   */
  related: ReadonlyArray<Stored<Pod>>;
  /** In [0, 1): names come from it. */
  seed: number;
}

/** Pods made or deleted in one run; the rest follows in the next (burstReplicas upstream). */
const BURST = 500;

function createActions({ set, kind, seed }: ReplicasState, count: number): Action[] {
  const base = `${set.metadata.name}-`;
  const names = suffixes(seed, Math.min(count, BURST)).map((end) => generatedName(base, end));
  const creates = names.map((name): Action => {
    const template = set.spec?.template;
    const object = podOf({ template, kind, owner: set, name, generateName: base });
    return { do: "create", kind: podKind, object };
  });
  return [
    ...creates,
    ...names.map((name) => told(set, "SuccessfulCreate", `Created pod: ${name}`)),
  ];
}

function deleteActions(
  state: ReplicasState,
  active: Array<Stored<Pod>>,
  count: number,
  now: number,
): Action[] {
  const crowd = new Map<string, number>();
  for (const pod of state.related) {
    const node = pod.spec?.nodeName;
    if (node && isActive(pod)) crowd.set(node, (crowd.get(node) ?? 0) + 1);
  }
  const gone = deletionOrder(active, crowd, now).slice(0, Math.min(count, BURST));
  return [
    ...gone.map((pod) => deleteAction(podKind, pod)),
    ...gone.map((pod) => told(state.set, "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`)),
  ];
}

const told = (about: Stored<Replicas>, reason: string, message: string): Action => ({
  do: "event",
  about,
  type: "Normal",
  reason,
  message,
});

interface Counted {
  status: ReplicaSetStatus;
  /** When the next pod becomes available by time alone. */
  againMs: number | undefined;
}

function count(set: Stored<Replicas>, active: ReadonlyArray<Stored<Pod>>, now: number): Counted {
  const wanted = Object.entries(set.spec?.template?.metadata?.labels ?? {});
  const status = {
    replicas: active.length,
    fullyLabeledReplicas: 0,
    readyReplicas: 0,
    availableReplicas: 0,
    observedGeneration: set.metadata.generation ?? 0,
  };
  let againMs: number | undefined;
  for (const pod of active) {
    const labels = pod.metadata.labels ?? {};
    if (wanted.every(([key, value]) => labels[key] === value)) status.fullyLabeledReplicas++;
    if (isReady(pod)) status.readyReplicas++;
    const inMs = availableInMs(pod, set.spec?.minReadySeconds ?? 0, now);
    if (inMs === 0) status.availableReplicas++;
    else if (inMs !== undefined) againMs = Math.min(againMs ?? inMs, inMs);
  }
  return { status, againMs };
}

/** Zero counts are left out, as typed clients do; `replicas` is always there. */
function trimmed(
  status: ReplicaSetStatus,
  conditions: ReplicaSetStatus["conditions"],
): ReplicaSetStatus {
  const out: ReplicaSetStatus = { replicas: status.replicas };
  if (status.fullyLabeledReplicas) out.fullyLabeledReplicas = status.fullyLabeledReplicas;
  if (status.readyReplicas) out.readyReplicas = status.readyReplicas;
  if (status.availableReplicas) out.availableReplicas = status.availableReplicas;
  if (status.observedGeneration) out.observedGeneration = status.observedGeneration;
  if (conditions?.length) out.conditions = conditions;
  return out;
}

export function planReplicas(state: ReplicasState, now: number): Plan {
  const { set, kind } = state;
  const { mine, actions } = claim({
    ownerKind: kind,
    owner: set,
    selector: state.selector,
    kind: podKind,
    owned: state.owned,
    free: state.free,
  });
  const active = mine.filter(isActive);
  const surplus = active.length - (set.spec?.replicas ?? 1);
  const { status, againMs } = count(set, active, now);
  const again = againMs === undefined ? {} : { againMs };
  if (set.metadata.deletionTimestamp === undefined && surplus !== 0) {
    const changes =
      surplus < 0 ? createActions(state, -surplus) : deleteActions(state, active, surplus, now);
    // The pods' own events wake this set again: one status then tells it all. But where pods are
    // refused (a quota) no such event may come for long.
    const refused = conditionOf(set.status?.conditions, "ReplicaFailure") !== undefined;
    const known = refused ? statusAction(kind, set, trimmed(status, set.status?.conditions)) : [];
    return { actions: [...actions, ...known, ...changes], ...again };
  }
  const conditions = withoutCondition(set.status?.conditions, "ReplicaFailure");
  return {
    actions: [...actions, ...statusAction(kind, set, trimmed(status, conditions))],
    ...again,
  };
}

/** A pod that could not be made or deleted: an event, and a condition until it works. */
export function failedReplicas(state: ReplicasState, failure: Failure, now: number): Action[] {
  const { action, message } = failure;
  if (action.do !== "create" && action.do !== "delete") return [];
  if (failure.code === 409 || failure.code === 404) return [];
  // Nothing can be made in a namespace that goes, and the set goes with it.
  if (failure.reason === "Forbidden" && message.includes("because it is being terminated"))
    return [];
  const { set, kind } = state;
  const creating = action.do === "create";
  const reason = creating ? "FailedCreate" : "FailedDelete";
  const event: Action = {
    do: "event",
    about: set,
    type: "Warning",
    reason,
    message: `Error ${creating ? "creating" : "deleting"}: ${message}`,
  };
  const mine = state.owned.filter(isActive);
  const { status } = count(set, mine, now);
  const known = conditionOf(set.status?.conditions, "ReplicaFailure");
  const conditions = withCondition(set.status?.conditions, {
    type: "ReplicaFailure",
    status: "True",
    reason,
    message: known?.reason === reason ? (known.message ?? message) : message,
    lastTransitionTime: timeText(now),
  });
  return [event, ...statusAction(kind, set, trimmed(status, conditions))];
}
