import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defaultWebhook } from "#resources/defaults/admission.ts";
import { defineKind } from "#resources/kind.ts";
import type { ValidatingWebhookConfiguration } from "#resources/types.gen.ts";
import { validateWebhooks } from "#resources/validate/admission.ts";

export const validatingWebhookConfigurations = defineKind<ValidatingWebhookConfiguration>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "ValidatingWebhookConfiguration",
  plural: "validatingwebhookconfigurations",
  namespaced: false,
  schema: "io.k8s.api.admissionregistration.v1.ValidatingWebhookConfiguration",
  categories: ["api-extensions"],
  generation: true,
  columns: [
    nameColumn,
    { name: "Webhooks", type: "integer", cell: ({ webhooks }) => (webhooks ?? []).length },
    ageColumn,
  ],
  defaults: ({ webhooks }) => {
    for (const webhook of webhooks ?? []) defaultWebhook(webhook);
  },
  validate: validateWebhooks,
});
