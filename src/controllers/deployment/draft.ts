/**
 * What a plan wants of each ReplicaSet, collected while it decides, so that each is written at most
 * once.
 */
import type { Action } from "#client/controller.ts";
import { patchAction } from "#controllers/common/patch.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import type { Stored } from "#resources/meta.ts";
import type { Deployment, ReplicaSet } from "#resources/types.gen.ts";

export const REVISION = "deployment.kubernetes.io/revision";
export const REVISION_HISTORY = "deployment.kubernetes.io/revision-history";
export const DESIRED = "deployment.kubernetes.io/desired-replicas";
export const MAX = "deployment.kubernetes.io/max-replicas";

export interface Draft {
  readonly name: string;
  /** Undefined for a set that this plan creates. */
  readonly set: Stored<ReplicaSet> | undefined;
  readonly fresh: ReplicaSet | undefined;
  /** Replicas in the spec before this plan. */
  readonly before: number;
  readonly available: number;
  /** Its controller has not answered its last size yet: its counts are of an older one. */
  readonly pending: boolean;
  /** Pods that may still be there: what it was told to have, or had when it last told. */
  readonly present: number;
  replicas: number;
  annotations: Record<string, string>;
  minReadySeconds: number;
}

export function draftOf(set: Stored<ReplicaSet>): Draft {
  const replicas = set.spec?.replicas ?? 1;
  const told = set.status?.replicas ?? 0;
  const isOld = (set.status?.observedGeneration ?? 0) < (set.metadata.generation ?? 0);
  return {
    name: set.metadata.name,
    set,
    fresh: undefined,
    before: replicas,
    available: set.status?.availableReplicas ?? 0,
    pending: isOld || told > replicas,
    present: Math.max(replicas, told),
    replicas,
    annotations: { ...set.metadata.annotations },
    minReadySeconds: set.spec?.minReadySeconds ?? 0,
  };
}

export function freshDraft(name: string, fresh: ReplicaSet, minReadySeconds: number): Draft {
  const none = { before: 0, available: 0, present: 0, replicas: 0 };
  const start = { ...none, pending: false, annotations: {} };
  return { name, set: undefined, fresh, minReadySeconds, ...start };
}

export const sum = (drafts: readonly Draft[], of: (draft: Draft) => number): number =>
  drafts.reduce((total, draft) => total + of(draft), 0);

export const isActiveSet = (draft: Draft): boolean => draft.replicas > 0;

/** Milliseconds do not matter here, and the texts of the API sort as times. */
export const oldestFirst = (a: Draft, b: Draft): number => {
  const [left, right] = [
    a.set?.metadata.creationTimestamp ?? "~",
    b.set?.metadata.creationTimestamp ?? "~",
  ];
  if (left !== right) return left < right ? -1 : 1;
  return a.name < b.name ? -1 : 1;
};

function write(draft: Draft): Action[] {
  const { set, fresh, annotations, replicas, minReadySeconds } = draft;
  if (fresh !== undefined) {
    const metadata = { ...fresh.metadata, annotations };
    const spec = { selector: {}, ...fresh.spec, replicas };
    const object: ReplicaSet = { ...fresh, metadata, spec };
    return [{ do: "create", kind: replicaSets, object }];
  }
  if (set === undefined) return [];
  const kept = Object.keys(annotations).length === 0 ? undefined : annotations;
  const parts: Partial<ReplicaSet> = {
    metadata: { ...set.metadata, ...(kept && { annotations: kept }) },
    spec: { selector: {}, ...set.spec, replicas, ...(minReadySeconds > 0 && { minReadySeconds }) },
  };
  if (minReadySeconds === 0 && parts.spec) delete parts.spec.minReadySeconds;
  // A size is right for the counts that it was decided on: late, it could take one pod too many.
  return patchAction(replicaSets, set, parts, { guarded: replicas !== draft.before });
}

/** The writes of all drafts, each followed by its event. */
export function writeDrafts(deployment: Stored<Deployment>, drafts: readonly Draft[]): Action[] {
  return drafts.flatMap((draft): Action[] => {
    const writes = write(draft);
    if (draft.replicas === draft.before) return writes;
    const way = draft.replicas > draft.before ? "up" : "down";
    const sizes = `from ${draft.before} to ${draft.replicas}`;
    const message = `Scaled ${way} replica set ${draft.name} ${sizes}`;
    const about = deployment;
    return [
      ...writes,
      { do: "event", about, type: "Normal", reason: "ScalingReplicaSet", message },
    ];
  });
}
