import { nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { CSIStorageCapacity } from "#resources/types.gen.ts";
import { validateStorageCapacity } from "#resources/validate/storage.ts";
import { capacityWarnings } from "#resources/warnings/storage.ts";

export const csiStorageCapacities = defineKind<CSIStorageCapacity>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIStorageCapacity",
  plural: "csistoragecapacities",
  namespaced: true,
  schema: "io.k8s.api.storage.v1.CSIStorageCapacity",
  columns: [
    nameColumn,
    { name: "StorageClassName", cell: (capacity) => capacity.storageClassName ?? "" },
    { name: "Capacity", cell: (capacity) => capacity.capacity ?? "<unset>" },
  ],
  validate: validateStorageCapacity,
  warnings: capacityWarnings,
});
