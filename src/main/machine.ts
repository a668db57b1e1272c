/** What this machine is: name, addresses, size. Reads /proc once per call. */
import { existsSync, readdirSync, readFileSync, statfsSync, writeFileSync } from "node:fs";
import { availableParallelism, hostname, totalmem } from "node:os";
import { ownCidrs } from "#agents/network/plan.ts";
import { contains } from "#base/cidr.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { interfaces } from "#base/interfaces.ts";
import type { Log } from "#base/log.ts";
import { pageSizeName } from "#resources/hugepages.ts";

/** DNS names are in lower case; a host name need not be. */
export function machineName(): string {
  return hostname().toLowerCase().split(".")[0] ?? "";
}

export const bootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();

/** Interface of the default route; /proc/net/route has it as destination 00000000. */
function defaultInterface(): string | undefined {
  const lines = readFileSync("/proc/net/route", "utf8").split("\n").slice(1);
  const routes = lines.map((line) => line.split("\t")).filter((route) => route[1] === "00000000");
  routes.sort((a, b) => Number(a[6]) - Number(b[6]));
  return routes[0]?.[0];
}

/** IPv4 addresses of the machine, the one of the default route first; never loopback. */
export function machineAddresses(): string[] {
  const preferred = defaultInterface();
  const all = Object.entries(interfaces()).flatMap(([name, addresses]) =>
    (addresses ?? [])
      .filter((each) => each.family === "IPv4" && !each.internal)
      .map((each) => ({ name, address: each.address })),
  );
  const rank = (name: string): number => (name === preferred ? 0 : 1);
  return all.sort((a, b) => rank(a.name) - rank(b.name)).map((each) => each.address);
}

/** Addresses of IPv6 that are good beyond their link. */
function globalIpv6(): string[] {
  return Object.values(interfaces()).flatMap((addresses) =>
    (addresses ?? [])
      .filter((each) => each.family === "IPv6" && !each.internal)
      .filter((each) => !contains("fe80::/10", each.address))
      .map((each) => each.address),
  );
}

/** Of all interfaces, loopback and the cluster's own networks included. */
export const ownAddresses = (): string[] =>
  Object.values(interfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));

/** Those that others may reach this machine by, of IPv4 first. */
export const reachableAddresses = (): string[] => [...machineAddresses(), ...globalIpv6()];

export interface ClusterRanges {
  readonly clusterCidr: string;
  readonly serviceCidr: string;
}

/** Those on networks that are not the cluster's own: bridge, overlay, DNS. */
export function besideCluster(addresses: readonly string[], cluster: ClusterRanges): string[] {
  const own = ownCidrs(cluster);
  return addresses.filter((address) => !own.some((cidr) => contains(cidr, address)));
}

/**
 * What a node is known by: its addresses beside the cluster's own, those of IPv6 last and only
 * where the cluster has both.
 */
export function nodeAddresses(given: string | undefined, cluster: ClusterRanges): string[] {
  if (given !== undefined) return given.split(",");
  const all = [...machineAddresses(), ...(cluster.clusterCidr.includes(":") ? globalIpv6() : [])];
  return besideCluster(all, cluster);
}

const MTU = 1_500;

/** Bytes that a packet of this address's interface may have; Ethernet's where it is not known. */
export function linkMtu(address: string | undefined): number {
  const found = Object.entries(interfaces()).find(([, addresses]) =>
    addresses?.some((each) => each.address === address),
  );
  if (found === undefined) return MTU;
  return Number(readFileSync(`/sys/class/net/${found[0]}/mtu`, "utf8"));
}

/** The address that other nodes reach this one by. */
export function nodeAddress(given: string | undefined): string {
  if (given !== undefined) return given.split(",", 1)[0] ?? given;
  const first = machineAddresses()[0];
  if (first === undefined) {
    throw new OperatorError("this machine has no network address", { hint: "give one: --node-ip" });
  }
  return first;
}

/** All addresses of the machine: IPv4 ones too, and alone where there is no IPv6. */
export const everyAddress = (): string =>
  existsSync("/proc/net/if_inet6") && readFileSync("/proc/net/if_inet6", "utf8") !== ""
    ? "::"
    : "0.0.0.0";

/** As Kubernetes names it. */
export const architecture = (): string => (process.arch === "x64" ? "amd64" : process.arch);

export function machineCapacity(dataDir: string): {
  cpus: number;
  memoryBytes: number;
  ephemeralBytes: number;
  pods: number;
  hugePages: Record<string, number>;
} {
  const disk = statfsSync(dataDir);
  return {
    cpus: availableParallelism(),
    memoryBytes: totalmem(),
    ephemeralBytes: disk.blocks * disk.bsize,
    pods: 110,
    hugePages: machineHugePages(),
  };
}

/** What the operator has set aside, in bytes by size; as upstream, a change needs a restart. */
export function machineHugePages(root = "/sys/kernel/mm/hugepages"): Record<string, number> {
  if (!existsSync(root)) return {};
  return Object.fromEntries(
    readdirSync(root).flatMap((name) => {
      const kib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1]);
      if (!kib) return [];
      const count = Number(readFileSync(`${root}/${name}/nr_hugepages`, "utf8").trim());
      return [[pageSizeName(kib), count * kib * 1024]];
    }),
  );
}

/**
 * Whether containers may have a negative OOM score: CAP_SYS_RESOURCE is bit 24. Their runtime needs
 * it, which the machine's first process has started; a service of its own may have less.
 */
export function canLowerOomScore(): boolean {
  const line = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/1/status", "utf8"));
  return ((BigInt(`0x${line?.[1] ?? "0"}`) >> 24n) & 1n) === 1n;
}

/**
 * A connection that waits for a listener which closes goes to the next one on its port (Linux'
 * ip-sysctl, from 5.14 on): without it a change of the API's certificate resets it. Best effort.
 */
export function keepHandshakes(log: Log): void {
  try {
    writeFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "1\n", { flag: "r+" });
  } catch (error) {
    log.debug("waiting connections do not move to a new listener", { error: messageOf(error) });
  }
}
