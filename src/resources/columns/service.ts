import { ageColumn, labelsText, nameColumn } from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type { Service, ServicePort } from "#resources/types.gen.ts";

/** Where a load balancer answers: addresses, else host names, sorted. */
export function ingressPoints(
  points: ReadonlyArray<{ ip?: string; hostname?: string }> | undefined,
): string {
  const found = new Set((points ?? []).map((point) => point.ip || point.hostname || ""));
  found.delete("");
  return [...found].sort().join(",");
}

function externalIp(service: Service): string {
  const given = service.spec?.externalIPs ?? [];
  switch (service.spec?.type) {
    case "ClusterIP":
    case "NodePort":
      return given.length === 0 ? "<none>" : given.join(",");
    case "LoadBalancer": {
      const points = ingressPoints(service.status?.loadBalancer?.ingress);
      if (points === "" && given.length === 0) return "<pending>";
      return [...(points ? [points] : []), ...given].join(",");
    }
    case "ExternalName":
      return service.spec.externalName ?? "";
    default:
      return "<unknown>";
  }
}

function portText(port: ServicePort): string {
  const { port: own = 0, nodePort = 0 } = port;
  const number = nodePort > 0 ? `${own}:${nodePort}` : String(own);
  return `${number}/${port.protocol ?? ""}`;
}

export const serviceColumns: Column<Service>[] = [
  nameColumn,
  { name: "Type", cell: (service) => service.spec?.type ?? "" },
  { name: "Cluster-IP", cell: (service) => service.spec?.clusterIPs?.[0] ?? "<none>" },
  { name: "External-IP", cell: externalIp },
  {
    name: "Port(s)",
    cell: (service) => (service.spec?.ports ?? []).map(portText).join(",") || "<none>",
  },
  ageColumn,
  { name: "Selector", priority: 1, cell: (service) => labelsText(service.spec?.selector) },
];
