import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { PodDisruptionBudget } from "#resources/types.gen.ts";
import { validateBudget } from "#resources/validate/small.ts";

export const podDisruptionBudgets = defineKind<PodDisruptionBudget>({
  group: "policy",
  version: "v1",
  kind: "PodDisruptionBudget",
  plural: "poddisruptionbudgets",
  namespaced: true,
  schema: "io.k8s.api.policy.v1.PodDisruptionBudget",
  shortNames: ["pdb"],
  subresources: { status: true },
  generation: true,
  columns: [
    nameColumn,
    { name: "Min Available", cell: ({ spec }) => String(spec?.minAvailable ?? "N/A") },
    { name: "Max Unavailable", cell: ({ spec }) => String(spec?.maxUnavailable ?? "N/A") },
    {
      name: "Allowed Disruptions",
      type: "integer",
      cell: ({ status }) => status?.disruptionsAllowed ?? 0,
    },
    ageColumn,
  ],
  prepare: (budget, old) => {
    if (old) return;
    budget.status = {
      disruptionsAllowed: 0,
      currentHealthy: 0,
      desiredHealthy: 0,
      expectedPods: 0,
    };
  },
  validate: validateBudget,
});
