import { createdColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { CustomResourceDefinition } from "#resources/types.gen.ts";
import { validateDefinition } from "#resources/validate/crd.ts";
import { definitionWarnings } from "#resources/warnings/definitions.ts";

/** Remembers every version that objects were ever stored in. */
function storeVersion(definition: CustomResourceDefinition): void {
  const stored = definition.spec?.versions?.find((version) => version.storage)?.name;
  if (stored === undefined) return;
  definition.status ??= {};
  const before = definition.status.storedVersions ?? [];
  if (!before.includes(stored)) definition.status.storedVersions = [...before, stored];
}

export const customResourceDefinitions = defineKind<CustomResourceDefinition>({
  group: "apiextensions.k8s.io",
  version: "v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions",
  namespaced: false,
  schema: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinition",
  shortNames: ["crd", "crds"],
  categories: ["api-extensions"],
  subresources: { status: true },
  generation: true,
  columns: [nameColumn, createdColumn],
  defaults: (definition) => {
    const { spec } = definition;
    if (!spec) return;
    const { names } = spec;
    if (names?.kind) {
      names.singular ||= names.kind.toLowerCase();
      names.listKind ||= `${names.kind}List`;
    }
    spec.conversion ??= { strategy: "None" };
    const service = spec.conversion.webhook?.clientConfig?.service;
    if (service) service.port ??= 443;
  },
  prepare: (definition, old) => {
    if (!old) definition.status = {};
    storeVersion(definition);
  },
  validate: validateDefinition,
  warnings: definitionWarnings,
});
