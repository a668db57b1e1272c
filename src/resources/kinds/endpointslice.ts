import { ageColumn, nameColumn, someOf } from "#resources/columns/text.ts";
import { sameField } from "#resources/equal.ts";
import { defineKind } from "#resources/kind.ts";
import type { DiscoveryV1EndpointPort, EndpointSlice } from "#resources/types.gen.ts";
import { validateEndpointSlice } from "#resources/validate/endpoints.ts";
import { sliceWarnings } from "#resources/warnings/network.ts";

const SHOWN = 3;

const portText = (port: DiscoveryV1EndpointPort): string => String(port.port ?? port.name ?? "*");

export const endpointSlices = defineKind<EndpointSlice>({
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  namespaced: true,
  schema: "io.k8s.api.discovery.v1.EndpointSlice",
  generation: true,
  columns: [
    nameColumn,
    { name: "AddressType", cell: (slice) => slice.addressType ?? "" },
    {
      name: "Ports",
      cell: (slice) => someOf((slice.ports ?? []).map(portText), SHOWN, "<unset>"),
    },
    {
      name: "Endpoints",
      cell: (slice) =>
        someOf(
          (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses ?? []),
          SHOWN,
          "<unset>",
        ),
    },
    ageColumn,
  ],
  defaults: (slice) => {
    for (const port of slice.ports ?? []) {
      port.name ??= "";
      port.protocol ??= "TCP";
    }
  },
  prepare: (slice, old) => {
    if (old && sameField("io.k8s.api.discovery.v1.EndpointSlice", "endpoints", slice, old)) return;
    for (const endpoint of slice.endpoints ?? []) delete endpoint.deprecatedTopology;
  },
  validate: validateEndpointSlice,
  warnings: sliceWarnings,
});
