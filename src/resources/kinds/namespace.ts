import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { Namespace } from "#resources/types.gen.ts";
import { validateNamespace } from "#resources/validate/node.ts";

const NAME_LABEL = "kubernetes.io/metadata.name";

export const namespaces = defineKind<Namespace>({
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
  schema: "io.k8s.api.core.v1.Namespace",
  shortNames: ["ns"],
  verbsLeftOut: ["deletecollection"],
  subresources: { status: true },
  nameRule: "label",
  columns: [
    nameColumn,
    { name: "Status", cell: (namespace) => namespace.status?.phase ?? "" },
    ageColumn,
  ],
  defaults: (namespace) => {
    const { metadata } = namespace;
    // The name that generateName makes is only known later: `prepare` does it then.
    if (metadata?.name) metadata.labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
  },
  prepare: (namespace, old) => {
    const { metadata } = namespace;
    if (metadata?.name) metadata.labels = { ...metadata.labels, [NAME_LABEL]: metadata.name };
    if (old) {
      // Only the finalize subresource takes finalizers away.
      const finalizers = old.spec?.finalizers;
      namespace.spec = finalizers ? { finalizers } : {};
      return;
    }
    const finalizers = new Set(namespace.spec?.finalizers).add("kubernetes");
    namespace.spec = { finalizers: [...finalizers] };
    namespace.status = { phase: "Active" };
  },
  fields: (namespace) => ({ "status.phase": namespace.status?.phase ?? "" }),
  validate: validateNamespace,
});
