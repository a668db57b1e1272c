/**
 * Keeps the pods of a ReplicaSet (kubernetes.io/docs/concepts/workloads/controllers/replicaset).
 */
import type { Action, Failure, Plan } from "#client/controller.ts";
import { failedReplicas, planReplicas, type ReplicasState } from "#controllers/common/replicas.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import type { Stored } from "#resources/meta.ts";
import type { ReplicaSet } from "#resources/types.gen.ts";

export type State = Omit<ReplicasState, "kind" | "set" | "selector"> & { set: Stored<ReplicaSet> };

const whole = (state: State): ReplicasState => ({
  ...state,
  kind: replicaSets,
  selector: state.set.spec?.selector,
});

export const plan = (state: State, now: number): Plan => planReplicas(whole(state), now);

export const failed = (state: State, failure: Failure, now: number): Action[] =>
  failedReplicas(whole(state), failure, now);
