/** What a StatefulSet tells of itself. */
import type { Action } from "#client/controller.ts";
import { statusAction } from "#controllers/common/patch.ts";
import type { Revision } from "#controllers/common/revisions.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import type { Stored } from "#resources/meta.ts";
import type { StatefulSet, StatefulSetStatus } from "#resources/types.gen.ts";

export interface Counts {
  replicas: number;
  readyReplicas: number;
  availableReplicas: number;
  currentReplicas: number;
  updatedReplicas: number;
  /** When a pod becomes available by time alone. */
  againMs?: number;
}

/** Once all pods are of the new revision and ready it becomes the current one. */
function isRolled(set: StatefulSet, counts: Counts): boolean {
  return (
    set.spec?.updateStrategy?.type === "RollingUpdate" &&
    counts.updatedReplicas === counts.replicas &&
    counts.readyReplicas === counts.replicas
  );
}

export function statusActions(
  set: Stored<StatefulSet>,
  revisions: { current: Revision; update: Revision },
  counts: Counts,
): Action[] {
  const rolled = isRolled(set, counts);
  const currentReplicas = rolled ? counts.updatedReplicas : counts.currentReplicas;
  const status: StatefulSetStatus = {
    observedGeneration: set.metadata.generation ?? 0,
    replicas: counts.replicas,
    availableReplicas: counts.availableReplicas,
    currentRevision: rolled ? revisions.update.name : revisions.current.name,
    updateRevision: revisions.update.name,
    collisionCount: set.status?.collisionCount ?? 0,
    ...(counts.readyReplicas > 0 && { readyReplicas: counts.readyReplicas }),
    ...(currentReplicas > 0 && { currentReplicas }),
    ...(counts.updatedReplicas > 0 && { updatedReplicas: counts.updatedReplicas }),
    ...(set.status?.conditions && { conditions: set.status.conditions }),
  };
  return statusAction(statefulSets, set, status);
}
