/** PersistentVolumeClaims: from the claim over its volume to a source that this node can mount. */
import type { Client } from "#client/client.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { isLocalVolume } from "#resources/localvolume.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import type {
  NFSVolumeSource,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  Volume,
} from "#resources/types.gen.ts";

export type ClaimSource =
  | { kind: "block"; path: string }
  | { kind: "path"; path: string; type?: string; isLocal: boolean; readOnly: boolean }
  /** Made by our own provisioner, on this node. */
  | { kind: "local"; volume: Stored<PersistentVolume> }
  | { kind: "nfs"; nfs: NFSVolumeSource; options: readonly string[]; readOnly: boolean };

/** Name of the claim that a volume uses; a generic ephemeral volume has one of its own. */
export function claimName(pod: Stored<Pod>, volume: Volume): string | undefined {
  if (volume.persistentVolumeClaim) return volume.persistentVolumeClaim.claimName;
  return volume.ephemeral ? `${pod.metadata.name}-${volume.name}` : undefined;
}

/** A claim that only bears the name of the pod's ephemeral volume holds someone else's data. */
function mustBeOwn(claimed: Stored<PersistentVolumeClaim>, pod: Stored<Pod>): void {
  if (controllerOf(claimed)?.uid === pod.metadata.uid) return;
  const names = [claimed.metadata, pod.metadata].map(
    ({ namespace, name }) => `${namespace}/${name}`,
  );
  const [claim, owner] = names;
  throw new Error(`PVC ${claim} was not created for pod ${owner} (pod is not owner)`);
}

/** Throws an Error with what is missing, or the name of a source that is not supported. */
export async function claimSource(
  client: Client,
  pod: Stored<Pod>,
  { ephemeral }: Volume,
  name: string,
): Promise<ClaimSource> {
  const { namespace = "" } = pod.metadata;
  const claim = await client.get(persistentVolumeClaims, { namespace, name });
  if (claim === undefined) throw new Error(`persistentvolumeclaim "${name}" not found`);
  if (ephemeral) mustBeOwn(claim, pod);
  const volumeName = claim.spec?.volumeName;
  if (!volumeName || claim.status?.phase !== "Bound") {
    throw new Error(`persistentvolumeclaim "${name}" is not bound`);
  }
  const volume = await client.get(persistentVolumes, { name: volumeName });
  if (volume === undefined) throw new Error(`persistentvolume "${volumeName}" not found`);
  const spec = volume.spec ?? {};
  if (isLocalVolume(volume)) return { kind: "local", volume };
  if (spec.local && spec.volumeMode === "Block") return { kind: "block", path: spec.local.path };
  if (spec.local) return { kind: "path", path: spec.local.path, isLocal: true, readOnly: false };
  if (spec.hostPath) {
    const { path, type } = spec.hostPath;
    return { kind: "path", path, ...(type && { type }), isLocal: false, readOnly: false };
  }
  if (spec.nfs) {
    const readOnly = spec.nfs.readOnly === true;
    return { kind: "nfs", nfs: spec.nfs, options: spec.mountOptions ?? [], readOnly };
  }
  throw new Error(`the source of persistentvolume "${volumeName}" is not supported`);
}
