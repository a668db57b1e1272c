/** Words that persistent volumes and their claims share. */
import type { ApiObject } from "#resources/meta.ts";

const SHORT: Record<string, string> = {
  ReadWriteOnce: "RWO",
  ReadOnlyMany: "ROX",
  ReadWriteMany: "RWX",
  ReadWriteOncePod: "RWOP",
};

/** `RWO,RWX`, in the order that Kubernetes prints. */
export function accessModesText(modes: readonly string[] | undefined): string {
  return Object.entries(SHORT)
    .filter(([mode]) => modes?.includes(mode))
    .map(([, short]) => short)
    .join(",");
}

/** One without a phase has not been looked at. */
export function volumePhase(object: ApiObject & { status?: { phase?: string } }): string {
  return object.metadata?.deletionTimestamp ? "Terminating" : object.status?.phase || "Pending";
}

/** The storage class; the annotation from before the field goes first. */
export function classOf(object: ApiObject & { spec?: { storageClassName?: string } }): string {
  const annotation = object.metadata?.annotations?.["volume.beta.kubernetes.io/storage-class"];
  return annotation ?? object.spec?.storageClassName ?? "";
}
