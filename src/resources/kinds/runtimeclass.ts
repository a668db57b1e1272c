import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { canonicalResources } from "#resources/defaults/resources.ts";
import { defineKind } from "#resources/kind.ts";
import type { RuntimeClass } from "#resources/types.gen.ts";
import { validateRuntimeClass } from "#resources/validate/small.ts";
import { runtimeClassWarnings } from "#resources/warnings/others.ts";

export const runtimeClasses = defineKind<RuntimeClass>({
  group: "node.k8s.io",
  version: "v1",
  kind: "RuntimeClass",
  plural: "runtimeclasses",
  namespaced: false,
  schema: "io.k8s.api.node.v1.RuntimeClass",
  columns: [nameColumn, { name: "Handler", cell: (runtime) => runtime.handler ?? "" }, ageColumn],
  defaults: (runtime) => {
    canonicalResources(runtime.overhead?.podFixed);
  },
  validate: validateRuntimeClass,
  warnings: runtimeClassWarnings,
});
