import { ageColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { StorageClass } from "#resources/types.gen.ts";
import { validateStorageClass } from "#resources/validate/storage.ts";
import { storageClassWarnings } from "#resources/warnings/storage.ts";

/** Annotations of the class that claims get which name none; the older one still counts. */
const DEFAULT_ANNOTATIONS = [
  "storageclass.kubernetes.io/is-default-class",
  "storageclass.beta.kubernetes.io/is-default-class",
];

function nameText(storage: StorageClass): string {
  const annotations = storage.metadata?.annotations ?? {};
  const isDefault = DEFAULT_ANNOTATIONS.some((each) => annotations[each] === "true");
  return `${storage.metadata?.name ?? ""}${isDefault ? " (default)" : ""}`;
}

export const storageClasses = defineKind<StorageClass>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "StorageClass",
  plural: "storageclasses",
  namespaced: false,
  schema: "io.k8s.api.storage.v1.StorageClass",
  shortNames: ["sc"],
  columns: [
    { name: "Name", format: "name", cell: nameText },
    { name: "Provisioner", cell: (storage) => storage.provisioner ?? "" },
    { name: "ReclaimPolicy", cell: (storage) => storage.reclaimPolicy ?? "Delete" },
    { name: "VolumeBindingMode", cell: (storage) => storage.volumeBindingMode ?? "Immediate" },
    { name: "AllowVolumeExpansion", cell: (storage) => storage.allowVolumeExpansion ?? false },
    ageColumn,
  ],
  defaults: (storage) => {
    storage.reclaimPolicy ??= "Delete";
    storage.volumeBindingMode ??= "Immediate";
  },
  validate: validateStorageClass,
  warnings: storageClassWarnings,
});
