import { emptyState, renderTable } from "#agents/network/nft.ts";
import { serviceMaps } from "#agents/proxy/maps.ts";
import { planService, serviceOf } from "#agents/proxy/plan.ts";
import type { EndpointSlice, ServiceSpec } from "#resources/types.gen.ts";
import { golden } from "#test/support/golden.ts";
import { config, service, slice } from "#test/unit/agents/proxy/build.ts";

interface Input {
  family?: "IPv4" | "IPv6";
  localAddresses?: string[];
  services: Array<[string, ServiceSpec, string[]?]>;
  slices: Array<[string, string[], EndpointSlice["ports"]?]>;
}

/** The whole transaction for an empty kernel. */
function transaction(json: string): string {
  const input = JSON.parse(json) as Input;
  const family = input.family ?? "IPv4";
  const at = {
    ...config,
    clusterCidr: "10.42.0.0/16,fd00:42::/56",
    family,
    ...(input.localAddresses && { localAddresses: input.localAddresses }),
  };
  const slices = input.slices.map(([name, ips, ports]) => slice(name, ips, ports));
  const ports = input.services.flatMap(([name, spec, ingress]) => {
    const own = slices.filter((one) => serviceOf(one) === `default/${name}`);
    return planService(service(name, spec, ingress), own, at);
  });
  const address = `${family === "IPv6" ? "ip6" : "ip"} bramble`;
  return [...renderTable(address, serviceMaps(ports, at), emptyState())].join("");
}

golden(new URL("maps.golden.txt", import.meta.url), transaction);
