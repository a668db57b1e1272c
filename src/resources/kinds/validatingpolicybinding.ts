import { ageColumn, nameColumn, selectorText } from "#resources/columns/text.ts";
import { defaultMatch } from "#resources/defaults/admission.ts";
import { defineKind } from "#resources/kind.ts";
import type { ValidatingAdmissionPolicyBinding } from "#resources/types.gen.ts";
import { validatePolicyBinding } from "#resources/validate/admission.ts";

function paramText({ spec }: ValidatingAdmissionPolicyBinding): string {
  const param = spec?.paramRef;
  if (param?.name) return `${param.namespace || "*"}/${param.name}`;
  return param?.selector ? selectorText(param.selector) : "<unset>";
}

export const validatingAdmissionPolicyBindings = defineKind<ValidatingAdmissionPolicyBinding>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingAdmissionPolicyBinding",
  plural: "validatingadmissionpolicybindings",
  namespaced: false,
  schema: "io.k8s.api.admissionregistration.v1.ValidatingAdmissionPolicyBinding",
  categories: ["api-extensions"],
  generation: true,
  columns: [
    nameColumn,
    { name: "PolicyName", cell: ({ spec }) => spec?.policyName ?? "" },
    { name: "ParamRef", cell: paramText },
    ageColumn,
  ],
  defaults: ({ spec }) => defaultMatch(spec?.matchResources),
  validate: validatePolicyBinding,
});
