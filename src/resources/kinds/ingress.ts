import { ingressPoints } from "#resources/columns/service.ts";
import { ageColumn, nameColumn } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { Ingress } from "#resources/types.gen.ts";
import { validateIngress } from "#resources/validate/ingress.ts";
import { ingressWarnings } from "#resources/warnings/network.ts";

function hostsText(ingress: Ingress): string {
  const rules = ingress.spec?.rules ?? [];
  const hosts: string[] = [];
  for (const rule of rules) {
    if (hosts.length === 3) return `${hosts.join(",")} + ${rules.length - 3} more...`;
    if (rule.host) hosts.push(rule.host);
  }
  return hosts.join(",") || "*";
}

export const ingresses = defineKind<Ingress>({
  group: "networking.k8s.io",
  version: "v1",
  kind: "Ingress",
  plural: "ingresses",
  namespaced: true,
  schema: "io.k8s.api.networking.v1.Ingress",
  shortNames: ["ing"],
  subresources: { status: true },
  generation: true,
  columns: [
    nameColumn,
    { name: "Class", cell: ({ spec }) => spec?.ingressClassName ?? "<none>" },
    { name: "Hosts", cell: hostsText },
    { name: "Address", cell: ({ status }) => ingressPoints(status?.loadBalancer?.ingress) },
    { name: "Ports", cell: ({ spec }) => ((spec?.tls ?? []).length > 0 ? "80, 443" : "80") },
    ageColumn,
  ],
  prepare: (ingress, old) => {
    if (!old) ingress.status = { loadBalancer: {} };
  },
  validate: validateIngress,
  warnings: ingressWarnings,
});
