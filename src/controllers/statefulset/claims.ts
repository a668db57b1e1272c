/**
 * The claims of a StatefulSet's pods: made before the pod, kept after it, unless the retention
 * policy says to let them go (kubernetes.io/docs/concepts/workloads/controllers/statefulset, "PVC
 * retention").
 */
import type { Action } from "#client/controller.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import { patchAction } from "#controllers/common/patch.ts";
import { claimsOf } from "#controllers/statefulset/identity.ts";
import { sameValue } from "#resources/equal.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  OwnerReference,
  PersistentVolumeClaim,
  Pod,
  StatefulSet,
} from "#resources/types.gen.ts";

export type Claims = ReadonlyMap<string, Stored<PersistentVolumeClaim>>;

/** Whom the policy makes the owner, so that the claim goes with it; undefined: nobody. */
function ownerBy(
  set: Stored<StatefulSet>,
  pod: Stored<Pod> | undefined,
  surplus: boolean,
): OwnerReference | undefined {
  const policy = set.spec?.persistentVolumeClaimRetentionPolicy ?? {};
  const scaled = policy.whenScaled === "Delete";
  const deleted = policy.whenDeleted === "Delete";
  if (scaled && surplus) return pod && controllerReference(podKind, pod);
  return deleted && !surplus ? controllerReference(statefulSets, set) : undefined;
}

const isOurs = (set: Stored<StatefulSet>, name: string) => (ref: OwnerReference) =>
  (ref.kind === "StatefulSet" && ref.name === set.metadata.name) ||
  (ref.kind === "Pod" && ref.name === name);

/** Claims that a pod needs and that are not there. */
export function missingClaims(set: Stored<StatefulSet>, ordinal: number, claims: Claims): Action[] {
  return claimsOf(set, ordinal)
    .filter(({ metadata }) => !claims.has(metadata?.name ?? ""))
    .map((claim) => {
      const owner = ownerBy(set, undefined, false);
      const metadata = { ...claim.metadata, ...(owner && { ownerReferences: [owner] }) };
      const object = { ...claim, metadata };
      return { do: "create", kind: persistentVolumeClaims, object, ignoreExists: true };
    });
}

/** A claim that still belongs to a pod of before: it is about to go, and must not be used again. */
export function hasStaleClaim(set: Stored<StatefulSet>, ordinal: number, claims: Claims): boolean {
  return claimsOf(set, ordinal).some(({ metadata }) => {
    const claim = claims.get(metadata?.name ?? "");
    return claim?.metadata.ownerReferences?.some(({ kind }) => kind === "Pod") === true;
  });
}

/** Owner references of the pod's claims, as the retention policy wants them. */
export function retention(
  set: Stored<StatefulSet>,
  pod: Stored<Pod>,
  ordinal: number,
  options: { claims: Claims; surplus: boolean },
): Action[] {
  return claimsOf(set, ordinal).flatMap(({ metadata }) => {
    const claim = options.claims.get(metadata?.name ?? "");
    if (claim === undefined || claim.metadata.deletionTimestamp !== undefined) return [];
    const refs = claim.metadata.ownerReferences ?? [];
    const others = refs.filter((ref) => !isOurs(set, pod.metadata.name)(ref));
    const owner = ownerBy(set, pod, options.surplus);
    // What somebody else controls is not ours to give away.
    const foreign = others.some(({ controller }) => controller === true);
    const wanted = owner === undefined || foreign ? others : [...others, owner];
    if (sameValue(refs, wanted)) return [];
    const next = { metadata: { ...claim.metadata, ownerReferences: wanted } };
    return patchAction(persistentVolumeClaims, claim, next, { guarded: true });
  });
}
