/** Claims, volumes and pods: the marks of their binding. Whether they fit: `volumematch.ts`. */

import type { Index } from "#client/cache.types.ts";
import { isTerminal } from "#controllers/common/pods.ts";
import type { Stored } from "#resources/meta.ts";
import type { PersistentVolumeClaim, Pod } from "#resources/types.gen.ts";

export const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
export const BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller";
export const SELECTED_NODE = "volume.kubernetes.io/selected-node";
export const PROVISIONER = "volume.kubernetes.io/storage-provisioner";
export const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";
const BETA_CLASS = "volume.beta.kubernetes.io/storage-class";
const DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class";

type Claim = Stored<PersistentVolumeClaim>;

export const annotation = (object: Stored, name: string): string | undefined =>
  object.metadata.annotations?.[name];

/** The name of the class; undefined where none was chosen, "" where none is wanted. */
export const claimClass = (claim: Claim): string | undefined =>
  annotation(claim, BETA_CLASS) ?? claim.spec?.storageClassName;

export const isDefaultClass = (object: Stored): boolean =>
  annotation(object, DEFAULT_CLASS) === "true";

/** Names of the claims that a pod uses, those of ephemeral volumes included. */
export function claimNames(pod: Stored<Pod>): string[] {
  return (pod.spec?.volumes ?? []).flatMap(({ name, persistentVolumeClaim, ephemeral }) => {
    if (persistentVolumeClaim) return [persistentVolumeClaim.claimName];
    return ephemeral ? [`${pod.metadata.name}-${name}`] : [];
  });
}

/** Pods that may still use their volumes, by the key of each claim. */
export const podsByClaim: Index<Pod> = {
  name: "claim",
  values: (pod) =>
    isTerminal(pod) ? [] : claimNames(pod).map((name) => `${pod.metadata.namespace}/${name}`),
};
