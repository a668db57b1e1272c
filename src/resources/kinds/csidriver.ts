import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { CSIDriver } from "#resources/types.gen.ts";
import { dropUnlessUsed } from "#resources/unserved.ts";
import { validateCsiDriver } from "#resources/validate/storage.ts";

export const csiDrivers = defineKind<CSIDriver>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "CSIDriver",
  plural: "csidrivers",
  namespaced: false,
  schema: "io.k8s.api.storage.v1.CSIDriver",
  generation: true,
  columns: [
    nameColumn,
    { name: "AttachRequired", type: "boolean", cell: ({ spec }) => spec?.attachRequired ?? true },
    { name: "PodInfoOnMount", type: "boolean", cell: ({ spec }) => spec?.podInfoOnMount ?? false },
    {
      name: "StorageCapacity",
      type: "boolean",
      cell: ({ spec }) => spec?.storageCapacity ?? false,
    },
    {
      name: "TokenRequests",
      cell: ({ spec }) =>
        spec?.tokenRequests?.map((request) => request.audience).join(",") ?? "<unset>",
    },
    {
      name: "RequiresRepublish",
      type: "boolean",
      cell: ({ spec }) => spec?.requiresRepublish ?? false,
    },
    { name: "Modes", cell: ({ spec }) => spec?.volumeLifecycleModes?.join(",") || "<none>" },
    ageColumn,
  ],
  defaults: (driver) => {
    driver.spec ??= {};
    const { spec } = driver;
    spec.attachRequired ??= true;
    spec.podInfoOnMount ??= false;
    spec.storageCapacity ??= false;
    spec.fsGroupPolicy ??= "ReadWriteOnceWithFSType";
    if ((spec.volumeLifecycleModes ?? []).length === 0) spec.volumeLifecycleModes = ["Persistent"];
    spec.requiresRepublish ??= false;
    spec.seLinuxMount ??= false;
  },
  prepare: (driver, old) => {
    dropUnlessUsed(driver.spec, old?.spec, "nodeAllocatableUpdatePeriodSeconds");
  },
  validate: validateCsiDriver,
});
