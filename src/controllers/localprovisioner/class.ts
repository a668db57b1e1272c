/** The StorageClass that claims get where nobody says otherwise. */
import { type Client, isConflict } from "#client/client.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import { LOCAL_CLASS, LOCAL_PROVISIONER } from "#resources/localvolume.ts";
import type { StorageClass } from "#resources/types.gen.ts";

export const localClass: StorageClass = {
  metadata: {
    name: LOCAL_CLASS,
    annotations: { "storageclass.kubernetes.io/is-default-class": "true" },
  },
  provisioner: LOCAL_PROVISIONER,
  reclaimPolicy: "Delete",
  volumeBindingMode: "WaitForFirstConsumer",
  allowVolumeExpansion: true,
};

/** Makes it where it is missing; what an operator changed stays. */
export async function ensureLocalClass(client: Client): Promise<void> {
  if ((await client.get(storageClasses, { name: LOCAL_CLASS })) !== undefined) return;
  try {
    await client.create(storageClasses, localClass);
  } catch (error) {
    if (!isConflict(error)) throw error;
  }
}
