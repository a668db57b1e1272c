/** Keeps the pods of a ReplicationController, the elder brother of the ReplicaSet. */
import type { Action, Failure, Plan } from "#client/controller.ts";
import { failedReplicas, planReplicas, type ReplicasState } from "#controllers/common/replicas.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import type { Stored } from "#resources/meta.ts";
import type { ReplicationController } from "#resources/types.gen.ts";

export type State = Omit<ReplicasState, "kind" | "set" | "selector"> & {
  set: Stored<ReplicationController>;
};

const whole = (state: State): ReplicasState => ({
  ...state,
  kind: replicationControllers,
  selector: { matchLabels: state.set.spec?.selector ?? {} },
});

export const plan = (state: State, now: number): Plan => planReplicas(whole(state), now);

export const failed = (state: State, failure: Failure, now: number): Action[] =>
  failedReplicas(whole(state), failure, now);
