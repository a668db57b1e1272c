/**
 * Words that the provisioner of local disks and the nodes' agents say to each other through the
 * API: the provisioner makes a PersistentVolume on a node and keeps it by a finalizer; the node's
 * agent makes the folder, tells its size, and after the volume's deletion removes folder and
 * finalizer.
 */
import { must } from "#base/assert.ts";
import type { ObjectMeta, PersistentVolume } from "#resources/types.gen.ts";

export const LOCAL_PROVISIONER = "bramble.dev/local-path";
/** The default StorageClass. */
export const LOCAL_CLASS = "local-path";
/** Label of a volume: the node that holds it. Nodes watch theirs by it. */
export const VOLUME_NODE = "bramble.dev/node";
export const VOLUME_FINALIZER = "bramble.dev/local-volume";
/** Annotation of a node: the folder for its volumes. */
export const STORAGE_PATH = "bramble.dev/storage-path";
/** Parameter of a class and annotation of a volume: how its size is to be held. */
export const SIZE_LIMIT = "bramble.dev/size-limit";
/** Annotation by the node's agent: how the size is held in truth. */
export const SIZE_HELD = "bramble.dev/size-held";
/** Annotation by the node's agent: the size that the volume has there. */
export const SIZE = "bramble.dev/size";
const PROVISIONED_BY = "pv.kubernetes.io/provisioned-by";

/**
 * `auto`: a project quota where the file system has them, else none. `quota`: that or nothing.
 * `loop`: a file with a file system of its own, of just this size.
 */
export const SIZE_LIMITS = ["auto", "none", "quota", "loop"] as const;
export type SizeLimit = (typeof SIZE_LIMITS)[number];

/** Longest label value. */
const LABEL_MAX = 63;
const FILE_NAME_BYTES_MAX = 255;

/** A node's name as a label value. */
export const nodeLabel = (nodeName: string): string =>
  nodeName.slice(0, LABEL_MAX).replace(/[^A-Za-z0-9]+$/, "");

export const isLocalVolume = (volume: PersistentVolume): boolean =>
  volume.metadata?.annotations?.[PROVISIONED_BY] === LOCAL_PROVISIONER &&
  volume.spec?.local !== undefined;

export const sizeLimitOf = (meta: ObjectMeta | undefined): SizeLimit => {
  const asked = meta?.annotations?.[SIZE_LIMIT];
  return SIZE_LIMITS.find((one) => one === asked) ?? "auto";
};

/** Folder of a volume below the node's: the volume's name is unique, the rest is for people. */
export function folderName(volumeName: string, claim: { namespace: string; name: string }): string {
  const whole = `${volumeName}_${claim.namespace}_${claim.name}`;
  return must(whole.slice(0, FILE_NAME_BYTES_MAX), "folder name");
}
