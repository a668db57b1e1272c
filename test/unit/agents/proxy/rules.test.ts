import { ChainNames, renderChange, type Table, type TableChange } from "#agents/network/restore.ts";
import { planServices } from "#agents/proxy/plan.ts";
import type { EndpointSlice, ServiceSpec } from "#resources/types.gen.ts";
import { golden } from "#test/support/golden.ts";
import { config, service, slice } from "#test/unit/agents/proxy/build.ts";

interface Input {
  instance?: string;
  family?: "IPv4" | "IPv6";
  localAddresses?: string[];
  services: Array<[string, ServiceSpec, string[]?]>;
  slices: Array<[string, string[], EndpointSlice["ports"]?]>;
}

/** The whole input of iptables-restore for an empty kernel. */
function restoreText(json: string): string {
  const input = JSON.parse(json) as Input;
  const rules = planServices(
    {
      services: input.services.map(([name, spec, ingress]) => service(name, spec, ingress)),
      endpointSlices: input.slices.map(([name, ips, ports]) => slice(name, ips, ports)),
    },
    {
      ...config,
      clusterCidr: "10.42.0.0/16,fd00:42::/56",
      family: input.family ?? "IPv4",
      ...(input.localAddresses && { localAddresses: input.localAddresses }),
    },
  );
  const names = new ChainNames(input.instance ?? "");
  const changes = (["nat", "filter"] as const).map((table: Table): TableChange => {
    const chains = rules.chains.filter((chain) => chain.table === table);
    const hooks = rules.hooks.filter((hook) => hook.table === table);
    return {
      table,
      write: chains.map((chain) => ({ name: names.of(chain.name), rules: chain.rules })),
      remove: [],
      unhook: [],
      hook: hooks.map(({ from, to, match }) => ({ from, to: names.of(to), match: match ?? "" })),
    };
  });
  return changes.map((change) => [...renderChange(change, names)].join("")).join("");
}

golden(new URL("rules.golden.txt", import.meta.url), restoreText);
