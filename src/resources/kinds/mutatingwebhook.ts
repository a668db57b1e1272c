import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defaultWebhook } from "#resources/defaults/admission.ts";
import { defineKind } from "#resources/kind.ts";
import type { MutatingWebhookConfiguration } from "#resources/types.gen.ts";
import { validateWebhooks } from "#resources/validate/admission.ts";

export const mutatingWebhookConfigurations = defineKind<MutatingWebhookConfiguration>({
  group: "admissionregistration.k8s.io",
  version: "v1",
  kind: "MutatingWebhookConfiguration",
  plural: "mutatingwebhookconfigurations",
  namespaced: false,
  schema: "io.k8s.api.admissionregistration.v1.MutatingWebhookConfiguration",
  categories: ["api-extensions"],
  generation: true,
  columns: [
    nameColumn,
    { name: "Webhooks", type: "integer", cell: ({ webhooks }) => (webhooks ?? []).length },
    ageColumn,
  ],
  defaults: ({ webhooks }) => {
    for (const webhook of webhooks ?? []) {
      defaultWebhook(webhook);
      webhook.reinvocationPolicy ??= "Never";
    }
  },
  validate: validateWebhooks,
});
