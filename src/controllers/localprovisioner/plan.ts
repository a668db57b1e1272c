/**
 * Makes a volume on a node's own disk for a claim of a class of ours: the PersistentVolume here,
 * the folder by the node's agent (`resources/localvolume.ts`). A node that is gone keeps nothing
 * back.
 */
import type { Action, Plan } from "#client/controller.ts";
import { deleteAction, patchAction } from "#controllers/common/patch.ts";
import {
  annotation,
  BIND_COMPLETED,
  PROVISIONED_BY,
  SELECTED_NODE,
} from "#controllers/common/volumes.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import {
  folderName,
  isLocalVolume,
  LOCAL_PROVISIONER,
  nodeLabel,
  SIZE_LIMIT,
  SIZE_LIMITS,
  STORAGE_PATH,
  VOLUME_FINALIZER,
  VOLUME_NODE,
} from "#resources/localvolume.ts";
import type { Stored } from "#resources/meta.ts";
import type {
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from "#resources/types.gen.ts";

export interface State {
  claim: Stored<PersistentVolumeClaim>;
  /** The claim's class, one of ours. */
  storageClass: Stored<StorageClass>;
  /** Where the volume is to be: the scheduler's choice, or ours for a class that does not wait. */
  node: Stored<Node> | undefined;
  /** It was made before. */
  isMade: boolean;
}

export interface VolumeState {
  volume: Stored<PersistentVolume>;
  /** The node that holds it still exists as an object. */
  hasNode: boolean;
}

const MODES = ["ReadWriteOnce", "ReadWriteOncePod"];
const HOSTNAME = "kubernetes.io/hostname";
const LIMIT_PARAMETER = "sizeLimit";

export const volumeName = ({ metadata }: Stored): string => `pvc-${metadata.uid}`;

/** Why no volume like this can be made; undefined when one can. */
function refusal({ claim, storageClass }: State): string | undefined {
  const { spec = {} } = claim;
  if (spec.volumeMode === "Block") return "block volumes are not supported";
  const mode = spec.accessModes?.find((one) => !MODES.includes(one));
  if (mode !== undefined) return `a local volume is on one node: ${mode} is not supported`;
  if (spec.dataSource ?? spec.dataSourceRef) return "data sources are not supported";
  if (spec.selector !== undefined) return "claim.Spec.Selector is not supported";
  const { parameters = {} } = storageClass;
  const unknown = Object.keys(parameters).find((name) => name !== LIMIT_PARAMETER);
  if (unknown !== undefined) return `unknown parameter "${unknown}"`;
  const limit = parameters[LIMIT_PARAMETER];
  if (limit === undefined || SIZE_LIMITS.some((one) => one === limit)) return undefined;
  return `parameter ${LIMIT_PARAMETER}: "${limit}" is none of ${SIZE_LIMITS.join(", ")}`;
}

function volumeFor({ claim, storageClass }: State, node: Stored<Node>, root: string) {
  const { namespace = "", name, uid, resourceVersion } = claim.metadata;
  const own = volumeName(claim);
  const hostname = node.metadata.labels?.[HOSTNAME] ?? node.metadata.name;
  const matches = { key: HOSTNAME, operator: "In", values: [hostname] };
  const made: PersistentVolume = {
    metadata: {
      name: own,
      labels: { [VOLUME_NODE]: nodeLabel(node.metadata.name) },
      annotations: {
        [PROVISIONED_BY]: LOCAL_PROVISIONER,
        [SIZE_LIMIT]: storageClass.parameters?.[LIMIT_PARAMETER] ?? "auto",
      },
      finalizers: [VOLUME_FINALIZER],
    },
    spec: {
      capacity: { storage: claim.spec?.resources?.requests?.["storage"] ?? "0" },
      accessModes: claim.spec?.accessModes ?? [],
      volumeMode: "Filesystem",
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? "Delete",
      storageClassName: storageClass.metadata.name,
      local: { path: `${root}/${folderName(own, { namespace, name })}` },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [matches] }] } },
      claimRef: {
        kind: "PersistentVolumeClaim",
        apiVersion: "v1",
        namespace,
        name,
        uid,
        resourceVersion,
      },
    },
  };
  return made;
}

/** The scheduler chooses anew once the mark of its choice is gone. */
function chooseAgain(claim: State["claim"]): Action[] {
  const { [SELECTED_NODE]: _, ...annotations } = claim.metadata.annotations ?? {};
  const metadata = { ...claim.metadata, annotations };
  return patchAction(persistentVolumeClaims, claim, { metadata });
}

export function plan(state: State): Plan {
  const { claim, storageClass, node, isMade } = state;
  const leaves = claim.metadata.deletionTimestamp !== undefined;
  if (leaves || isMade || claim.spec?.volumeName) return { actions: [] };
  if (annotation(claim, BIND_COMPLETED) !== undefined) return { actions: [] };
  const tell = (type: "Normal" | "Warning", reason: string, message: string): Action => ({
    do: "event",
    about: claim,
    type,
    reason,
    message,
  });
  const selected = annotation(claim, SELECTED_NODE);
  const waits = storageClass.volumeBindingMode === "WaitForFirstConsumer";
  if (waits && selected === undefined) return { actions: [] };
  const failed = (why: string): Action => {
    const what = `failed to provision volume with StorageClass "${storageClass.metadata.name}"`;
    return tell("Warning", "ProvisioningFailed", `${what}: ${why}`);
  };
  const why = refusal(state);
  if (why !== undefined) return { actions: [failed(why)] };
  if (node === undefined) {
    if (selected === undefined) return { actions: [failed("no node offers local storage")] };
    return { actions: [failed(`node "${selected}" not found`), ...chooseAgain(claim)] };
  }
  const root = annotation(node, STORAGE_PATH);
  if (root === undefined) {
    return { actions: [failed(`node "${node.metadata.name}" offers no local storage yet`)] };
  }
  const object = volumeFor(state, node, root);
  const done = `Successfully provisioned volume ${object.metadata?.name}`;
  return {
    actions: [
      { do: "create", kind: persistentVolumes, object, ignoreExists: true },
      tell("Normal", "ProvisioningSucceeded", done),
    ],
  };
}

/** A released volume goes, where its policy says so; one of a node that is gone goes at once. */
export function planVolume({ volume, hasNode }: VolumeState): Plan {
  if (!isLocalVolume(volume)) return { actions: [] };
  const { metadata, spec, status } = volume;
  if (metadata.deletionTimestamp === undefined) {
    const goes = spec?.persistentVolumeReclaimPolicy === "Delete" && status?.phase === "Released";
    return { actions: goes ? [deleteAction(persistentVolumes, volume)] : [] };
  }
  const kept = metadata.finalizers ?? [];
  if (hasNode || !kept.includes(VOLUME_FINALIZER)) return { actions: [] };
  const finalizers = kept.filter((name) => name !== VOLUME_FINALIZER);
  const parts = { metadata: { ...metadata, finalizers } };
  return { actions: patchAction(persistentVolumes, volume, parts, { guarded: true }) };
}
