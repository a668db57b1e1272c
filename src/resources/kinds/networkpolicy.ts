import { ageColumn, nameColumn, selectorOrNone } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { NetworkPolicy } from "#resources/types.gen.ts";
import { validateNetworkPolicy } from "#resources/validate/network.ts";
import { networkPolicyWarnings } from "#resources/warnings/network.ts";

export const networkPolicies = defineKind<NetworkPolicy>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "NetworkPolicy",
  plural: "networkpolicies",
  namespaced: true,
  schema: "io.k8s.api.networking.v1.NetworkPolicy",
  shortNames: ["netpol"],
  generation: true,
  columns: [
    nameColumn,
    { name: "Pod-Selector", cell: ({ spec }) => selectorOrNone(spec?.podSelector) },
    ageColumn,
  ],
  defaults: (policy) => {
    policy.spec ??= {};
    const { spec } = policy;
    spec.podSelector ??= {};
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) {
      for (const port of rule.ports ?? []) port.protocol ??= "TCP";
    }
    if ((spec.policyTypes ?? []).length > 0) return;
    spec.policyTypes = (spec.egress ?? []).length > 0 ? ["Ingress", "Egress"] : ["Ingress"];
  },
  validate: validateNetworkPolicy,
  warnings: networkPolicyWarnings,
});
