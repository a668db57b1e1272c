/**
 * Session affinity in nft: a set of clients for each backend, which the kernel fills and empties.
 * Pure. Only Services that ask for it have chains of their own.
 */
import type { NftChain, NftSet } from "#agents/network/tables.ts";
import type { Backend, ServicePortPlan } from "#agents/proxy/plan.ts";

export interface Affinity {
  /** The chain that picks a backend. */
  name: string;
  chains: readonly NftChain[];
  sets: readonly NftSet[];
}

/** Letters that nft takes in a name: `default/web:http` becomes `default/web.http`. */
const nameOf = (text: string): string => text.replaceAll(":", ".");

/** By number: names need /etc/protocols. */
const NUMBER = { tcp: 6, udp: 17, sctp: 132 } as const;

const destination = ({ ip, port }: Backend): string =>
  ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;

export function affinityChains(
  port: ServicePortPlan,
  backends: readonly Backend[],
  here: boolean,
  ip: "ip" | "ip6",
): Affinity {
  const name = `${here ? "stay-here" : "stay"}-${nameOf(port.id)}`;
  const setOf = (backend: Backend) =>
    `clients-${nameOf(port.id)}/${nameOf(backend.ip)}/${backend.port}`;
  const keep = (backend: Backend) =>
    `update @${setOf(backend)} { ${ip} saddr } dnat ${ip} to ${destination(backend)}`;
  const chainOf = (backend: Backend) => setOf(backend).replace("clients-", "client-");
  const draws = backends.map((backend, i) => `${i} : goto ${chainOf(backend)}`);
  const backendChains = backends.map((backend) => ({
    name: chainOf(backend),
    rules: [`meta l4proto ${NUMBER[port.protocol]} ${keep(backend)}`],
  }));
  return {
    name,
    sets: backends.map((backend) => ({
      name: setOf(backend),
      type: `typeof ${ip} saddr`,
      flags: "dynamic,timeout",
      timeoutSeconds: port.affinitySeconds ?? 0,
      elements: new Map(),
    })),
    chains: [
      ...backendChains,
      {
        name,
        rules: [
          ...backends.map((one) => `${ip} saddr @${setOf(one)} goto ${chainOf(one)}`),
          `numgen random mod ${backends.length} vmap { ${draws.join(", ")} }`,
        ],
      },
    ],
  };
}
