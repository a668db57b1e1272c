/**
 * The yardstick: two nodes with a bridge and a pod each, and routes or a VXLAN link between them,
 * by hand. Without a rule it is what links, bridges and routes cost; with connection tracking what
 * any node pays on which the kernel translates the addresses of Services.
 */
import { owned } from "#test/bench/ends.ts";
import { must, openSite, type SiteNode, type SitePod } from "#test/host/network/site.ts";

export type Mode = "host-gw" | "vxlan";

export interface Pair {
  nodes: [SiteNode, SiteNode];
  pods: [SitePod, SitePod];
  close(): Promise<void>;
}

/** Two nodes with a pod on each; nothing leads from one to the other yet. */
export async function openPair(mode: Mode): Promise<Pair> {
  const [site, close] = await owned(
    () => openSite(2, mode === "vxlan" ? { mtu: 1450 } : {}),
    (each) => each.close(),
  );
  const nodes = site.nodes as [SiteNode, SiteNode];
  return { nodes, pods: [await site.pod(nodes[0], "a"), await site.pod(nodes[1], "b")], close };
}

const baseOf = (cidr: string): string => cidr.split("/", 1)[0] ?? "";

async function lead(from: SiteNode, to: SiteNode, mode: Mode): Promise<void> {
  const ip = (...args: string[]) => must(from.run, ["ip", ...args]);
  if (mode === "host-gw") {
    await ip("route", "add", to.podCidr, "via", to.address);
    return;
  }
  const ends = ["local", from.address, "remote", to.address, "dstport", "8472", "nolearning"];
  await ip("link", "add", "vx0", "mtu", "1450", "type", "vxlan", "id", "7", ...ends);
  await ip("address", "add", `${baseOf(from.podCidr)}/32`, "dev", "vx0");
  await ip("link", "set", "vx0", "up");
  await ip("route", "add", to.podCidr, "via", baseOf(to.podCidr), "dev", "vx0", "onlink");
}

/** `isTracked`: connections are tracked, and bridges hand their packets to iptables. */
export async function leadByHand({ nodes }: Pair, mode: Mode, isTracked: boolean): Promise<void> {
  const [n1, n2] = nodes;
  await lead(n1, n2, mode);
  await lead(n2, n1, mode);
  for (const { run } of nodes) {
    const file = "/proc/sys/net/bridge/bridge-nf-call-iptables";
    await must(run, ["tee", file], isTracked ? "1\n" : "0\n");
    if (!isTracked) continue;
    const going = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"];
    await must(run, ["iptables", "-A", "FORWARD", ...going]);
    const source = ["-s", "10.42.0.0/16", "!", "-d", "10.0.0.0/8"];
    await must(run, ["iptables", "-t", "nat", "-A", "POSTROUTING", ...source, "-j", "MASQUERADE"]);
  }
}
