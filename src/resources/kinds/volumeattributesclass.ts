import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { VolumeAttributesClass } from "#resources/types.gen.ts";
import { validateAttributesClass } from "#resources/validate/storage.ts";

export const volumeAttributesClasses = defineKind<VolumeAttributesClass>({
  group: "storage.k8s.io",
  version: "v1",
  kind: "VolumeAttributesClass",
  plural: "volumeattributesclasses",
  namespaced: false,
  schema: "io.k8s.api.storage.v1.VolumeAttributesClass",
  shortNames: ["vac"],
  columns: [
    nameColumn,
    { name: "DriverName", cell: (attributes) => attributes.driverName ?? "" },
    ageColumn,
  ],
  validate: validateAttributesClass,
});
