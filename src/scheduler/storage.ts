/**
 * Volumes of a pod on a node: bound ones must be reachable, unbound ones of a class that waits for
 * its first consumer get a volume that the node reaches, or one is made there
 * (kubernetes.io/docs/concepts/storage/storage-classes, "Volume Binding Mode").
 */
import type { Stored } from "#resources/meta.ts";
import { quantityValue } from "#resources/quantity.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type {
  CSIStorageCapacity,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  StorageClass,
  TopologySelectorTerm,
} from "#resources/types.gen.ts";
import { className, findVolume, reaches, requestOf } from "#resources/volumematch.ts";
import { ephemeralClaimName } from "#scheduler/facts.ts";
import type { NodeState } from "#scheduler/node.ts";

type Claim = Stored<PersistentVolumeClaim>;
type Volume = Stored<PersistentVolume>;

/** What the caches show, with what this scheduler has decided on top. */
export interface StorageView {
  /** By `namespace/name`. */
  claim(key: string): Claim | undefined;
  volume(name: string): Volume | undefined;
  /** Volumes of a class. */
  volumesOf(className: string): Iterable<Volume>;
  storageClass(name: string): Stored<StorageClass> | undefined;
  /** Space that a CSI driver reports for a class; undefined: it reports none. */
  capacities(provisioner: string): ReadonlyArray<CSIStorageCapacity> | undefined;
  /** Given to another claim by a decision that the API does not show yet. */
  isTaken(volumeName: string, claimKey: string): boolean;
}

export const NO_STORAGE: StorageView = {
  claim: () => undefined,
  volume: () => undefined,
  volumesOf: () => [],
  storageClass: () => undefined,
  capacities: () => undefined,
  isTaken: () => false,
};

/** To be done before the pod is bound. */
export interface VolumeWork {
  bind: Array<{ volume: Volume; claim: Claim }>;
  provision: Claim[];
}

export interface PodClaims {
  bound: Claim[];
  /** Of a class that waits for the pod's node. */
  waiting: Claim[];
}

export const SELECTED_NODE = "volume.kubernetes.io/selected-node";
const BIND_COMPLETED = "pv.kubernetes.io/bind-completed";
const NO_PROVISIONER = "kubernetes.io/no-provisioner";

export const isFullyBound = (claim: Claim): boolean =>
  Boolean(claim.spec?.volumeName) && claim.metadata.annotations?.[BIND_COMPLETED] !== undefined;

interface ClaimName {
  name: string;
  /** It belongs to the pod (an ephemeral volume). */
  own: boolean;
}

/** Name of the claim behind each volume. */
function claimNames(pod: Stored<Pod>): ClaimName[] {
  return (pod.spec?.volumes ?? []).flatMap((volume): ClaimName[] => {
    if (volume.persistentVolumeClaim) {
      return [{ name: volume.persistentVolumeClaim.claimName, own: false }];
    }
    if (!volume.ephemeral) return [];
    return [{ name: ephemeralClaimName(pod.metadata.name, volume.name), own: true }];
  });
}

const isOwnedBy = (claim: Claim, pod: Stored<Pod>): boolean =>
  claim.metadata.ownerReferences?.some((ref) => ref.controller && ref.uid === pod.metadata.uid) ===
  true;

function unusable(claim: Claim | undefined, name: string, own: boolean): string | undefined {
  if (claim === undefined) {
    return own
      ? `waiting for ephemeral volume controller to create the persistentvolumeclaim "${name}"`
      : `persistentvolumeclaim "${name}" not found`;
  }
  if (claim.status?.phase === "Lost") {
    const { volumeName = "" } = claim.spec ?? {};
    return `persistentvolumeclaim "${name}" bound to non-existent persistentvolume "${volumeName}"`;
  }
  if (claim.metadata.deletionTimestamp !== undefined) {
    return `persistentvolumeclaim "${name}" is being deleted`;
  }
  return undefined;
}

/** The pod's claims, or in upstream's words why no node can have it now. */
export function podClaims(pod: Stored<Pod>, storage: StorageView): PodClaims | string {
  const out: PodClaims = { bound: [], waiting: [] };
  const namespace = pod.metadata.namespace ?? "";
  for (const { name, own } of claimNames(pod)) {
    const claim = storage.claim(`${namespace}/${name}`);
    const why = unusable(claim, name, own);
    if (claim === undefined || why !== undefined) return why ?? "";
    if (own && !isOwnedBy(claim, pod)) {
      const podKey = `${namespace}/${pod.metadata.name}`;
      return `PVC "${namespace}/${name}" was not created for pod "${podKey}" (pod is not owner)`;
    }
    const mode = storage.storageClass(className(claim))?.volumeBindingMode;
    if (isFullyBound(claim)) out.bound.push(claim);
    else if (mode === "WaitForFirstConsumer" && !claim.spec?.volumeName) out.waiting.push(claim);
    else return "pod has unbound immediate PersistentVolumeClaims";
  }
  return out;
}

const ZONES = [
  "topology.kubernetes.io/zone",
  "topology.kubernetes.io/region",
  "failure-domain.beta.kubernetes.io/zone",
  "failure-domain.beta.kubernetes.io/region",
];

/** Labels of older volumes that name their zones, several of them as `a__b`. */
function inZone(volume: Volume, node: NodeState): boolean {
  const labels = volume.metadata.labels;
  if (labels === undefined) return true;
  return ZONES.every((key) => {
    const zones = labels[key]?.split("__");
    return zones === undefined || zones.includes(node.labels[key] ?? "");
  });
}

function allows(terms: readonly TopologySelectorTerm[] | undefined, node: NodeState): boolean {
  if (terms === undefined || terms.length === 0) return true;
  return terms.some((term) =>
    (term.matchLabelExpressions ?? []).every(
      ({ key, values }) => node.labels[key] !== undefined && values.includes(node.labels[key]),
    ),
  );
}

function hasSpace(
  claim: Claim,
  storageClass: Stored<StorageClass>,
  node: NodeState,
  storage: StorageView,
): boolean {
  const reported = storage.capacities(storageClass.provisioner);
  if (reported === undefined) return true;
  const wanted = requestOf(claim);
  return reported.some(
    ({ storageClassName, capacity, maximumVolumeSize, nodeTopology }) =>
      storageClassName === storageClass.metadata.name &&
      quantityValue(maximumVolumeSize ?? capacity ?? 0) >= wanted &&
      matchLabelSelector(nodeTopology)(node.labels),
  );
}

const NODE_AFFINITY = "node(s) didn't match PersistentVolume's node affinity";
const NO_VOLUME = "node(s) didn't find available persistent volumes to bind";
const NO_SPACE = "node(s) did not have enough free storage";
const NO_PV = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
const NO_ZONE = "node(s) had no available volume zone";

function boundMisfit(
  claims: readonly Claim[],
  node: NodeState,
  storage: StorageView,
): string | undefined {
  for (const claim of claims) {
    const volume = storage.volume(claim.spec?.volumeName ?? "");
    if (volume === undefined) return NO_PV;
    if (!reaches(volume, node.labels, node.name)) return NODE_AFFINITY;
    if (!inZone(volume, node)) return NO_ZONE;
  }
  return undefined;
}

function mayProvision(claim: Claim, node: NodeState, storage: StorageView): string | undefined {
  const storageClass = storage.storageClass(className(claim));
  const provisioner = storageClass?.provisioner ?? NO_PROVISIONER;
  if (storageClass === undefined || provisioner === NO_PROVISIONER) return NO_VOLUME;
  if (!allows(storageClass.allowedTopologies, node)) return NO_VOLUME;
  return hasSpace(claim, storageClass, node, storage) ? undefined : NO_SPACE;
}

/** What must be done for the pod's volumes on this node, or why they cannot be there. */
export function volumeWork(
  claims: PodClaims,
  node: NodeState,
  storage: StorageView,
): VolumeWork | string {
  const misfit = boundMisfit(claims.bound, node, storage);
  if (misfit !== undefined) return misfit;
  const work: VolumeWork = { bind: [], provision: [] };
  const chosen = new Set<string>();
  // The smallest claims first: they leave the large volumes to the others.
  const waiting = [...claims.waiting].sort((a, b) => requestOf(a) - requestOf(b));
  for (const claim of waiting) {
    const selected = claim.metadata.annotations?.[SELECTED_NODE];
    if (selected !== undefined && selected !== node.name) return NO_VOLUME;
    const key = `${claim.metadata.namespace}/${claim.metadata.name}`;
    const volume =
      selected === undefined
        ? findVolume(claim, storage.volumesOf(className(claim)), {
            node,
            taken: (name) => chosen.has(name) || storage.isTaken(name, key),
          })
        : undefined;
    if (volume !== undefined) {
      chosen.add(volume.metadata.name);
      work.bind.push({ volume, claim });
      continue;
    }
    const why = mayProvision(claim, node, storage);
    if (why !== undefined) return why;
    work.provision.push(claim);
  }
  return work;
}
