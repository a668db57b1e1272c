import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defaultMatch } from "#resources/defaults/admission.ts";
import { defineKind } from "#resources/kind.ts";
import type { ValidatingAdmissionPolicy } from "#resources/types.gen.ts";
import { validatePolicy } from "#resources/validate/admission.ts";

export const validatingAdmissionPolicies = defineKind<ValidatingAdmissionPolicy>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicy",
  plural: "validatingadmissionpolicies",
  namespaced: false,
  schema: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicy",
  categories: ["api-extensions"],
  subresources: { status: true },
  generation: true,
  columns: [
    nameColumn,
    {
      name: "Validations",
      type: "integer",
      cell: ({ spec }) => (spec?.validations ?? []).length,
    },
    {
      name: "ParamKind",
      cell: ({ spec }) =>
        spec?.paramKind
          ? `${spec.paramKind.apiVersion ?? ""}/${spec.paramKind.kind ?? ""}`
          : "<unset>",
    },
    ageColumn,
  ],
  defaults: (policy) => {
    policy.spec ??= {};
    policy.spec.failurePolicy ??= "Fail";
    defaultMatch(policy.spec.matchConstraints);
  },
  prepare: (policy, old) => {
    if (!old) policy.status = {};
  },
  validate: validatePolicy,
});
