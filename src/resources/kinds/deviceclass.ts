import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { DeviceClass } from "#resources/types.gen.ts";
import { dropUnlessUsed } from "#resources/unserved.ts";
import { validateDeviceClass } from "#resources/validate/devices.ts";

export const deviceClasses = defineKind<DeviceClass>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "DeviceClass",
  plural: "deviceclasses",
  namespaced: false,
  schema: "io.k8s.api.resource.v1.DeviceClass",
  generation: true,
  columns: [nameColumn, ageColumn],
  prepare: (deviceClass, old) => {
    dropUnlessUsed(deviceClass.spec, old?.spec, "extendedResourceName");
  },
  validate: validateDeviceClass,
});
