import { ageColumn, nameColumn, someOf } from "#resources/columns/text.ts";
import { defineKind } from "#resources/kind.ts";
import type { Endpoints } from "#resources/types.gen.ts";
import { validateEndpoints } from "#resources/validate/endpoints.ts";
import { endpointsWarnings } from "#resources/warnings/network.ts";

const hostPort = (ip: string, port: number): string =>
  ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;

function endpointsText(endpoints: Endpoints): string {
  const list = (endpoints.subsets ?? []).flatMap(({ addresses = [], ports = [] }) =>
    ports.length === 0
      ? addresses.map((address) => address.ip)
      : ports.flatMap((port) => addresses.map((address) => hostPort(address.ip, port.port))),
  );
  return someOf(list, 3, (endpoints.subsets ?? []).length === 0 ? "<none>" : "");
}

export const endpoints = defineKind<Endpoints>({
  group: "",
  version: "v1",
  kind: "Endpoints",
  plural: "endpoints",
  namespaced: true,
  schema: "io.k8s.api.core.v1.Endpoints",
  shortNames: ["ep"],
  deprecation: "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
  columns: [nameColumn, { name: "Endpoints", cell: endpointsText }, ageColumn],
  defaults: (endpoints) => {
    for (const subset of endpoints.subsets ?? []) {
      for (const port of subset.ports ?? []) port.protocol ||= "TCP";
    }
  },
  validate: validateEndpoints,
  warnings: endpointsWarnings,
});
