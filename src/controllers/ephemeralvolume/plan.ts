/**
 * Makes the claims of a pod's ephemeral volumes (kubernetes.io/docs/concepts/storage/ephemeral-
 * volumes).
 */
import type { Action, Plan } from "#client/controller.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import { isTerminal } from "#controllers/common/pods.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type { PersistentVolumeClaim, Pod } from "#resources/types.gen.ts";

export interface State {
  pod: Stored<Pod>;
  /** Claims of the names that its ephemeral volumes have. */
  claims: ReadonlyMap<string, Stored<PersistentVolumeClaim>>;
}

export function plan({ pod, claims }: State): Plan {
  if (pod.metadata.deletionTimestamp !== undefined || isTerminal(pod)) return { actions: [] };
  const actions = (pod.spec?.volumes ?? []).flatMap(({ name, ephemeral }): Action[] => {
    const template = ephemeral?.volumeClaimTemplate;
    if (template === undefined) return [];
    const claimName = `${pod.metadata.name}-${name}`;
    const known = claims.get(claimName);
    if (known !== undefined) {
      if (controllerOf(known)?.uid === pod.metadata.uid) return [];
      const what = `ephemeral volume ${name}: PVC ${claimName}`;
      const message = `${what} was not created for the pod, and is not used`;
      const reason = "EphemeralVolume";
      return [{ do: "event", about: pod, type: "Warning", reason, message }];
    }
    const object: PersistentVolumeClaim = {
      metadata: {
        name: claimName,
        namespace: pod.metadata.namespace ?? "",
        ...(template.metadata?.labels && { labels: template.metadata.labels }),
        ...(template.metadata?.annotations && { annotations: template.metadata.annotations }),
        ownerReferences: [controllerReference(pods, pod)],
      },
      ...(template.spec && { spec: template.spec }),
    };
    return [{ do: "create", kind: persistentVolumeClaims, object, ignoreExists: true }];
  });
  return { actions };
}
