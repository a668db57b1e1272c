import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { IngressClass } from "#resources/types.gen.ts";
import { validateIngressClass } from "#resources/validate/ingress.ts";

/** `kind.group/name`. */
function parametersText(ingressClass: IngressClass): string {
  const parameters = ingressClass.spec?.parameters;
  if (!parameters) return "<none>";
  const { apiGroup, kind = "", name = "" } = parameters;
  return apiGroup === undefined ? `${kind}/${name}` : `${kind}.${apiGroup}/${name}`;
}

export const ingressClasses = defineKind<IngressClass>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "IngressClass",
  plural: "ingressclasses",
  namespaced: false,
  schema: "io.k8s.api.networking.v1.IngressClass",
  generation: true,
  columns: [
    nameColumn,
    { name: "Controller", cell: ({ spec }) => spec?.controller ?? "" },
    { name: "Parameters", cell: parametersText },
    ageColumn,
  ],
  defaults: ({ spec }) => {
    if (spec?.parameters) spec.parameters.scope ??= "Cluster";
  },
  validate: validateIngressClass,
});
