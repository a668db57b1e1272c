/**
 * Routes to the other nodes' pods: what is wanted against what the kernel has under our protocol
 * number.
 */
import { readFile } from "node:fs/promises";
import { VXLAN_PORT } from "#agents/network/firewall.ts";
import type { Overlay, OverlayLink } from "#agents/network/overlay.ts";
import type { Route } from "#agents/network/plan.ts";
import { mustBeLine } from "#base/assert.ts";
import { contains, type Family } from "#base/cidr.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";

/**
 * Marks our routes in the kernel (`ip route show proto 171`); unassigned in iproute2's rt_protos.
 */
export const ROUTE_PROTOCOL = "171";

interface FdbEntry {
  mac: string;
  dst?: string;
}

interface Neighbour {
  dst: string;
  lladdr: string;
}

interface KernelRoute {
  dst: string;
  gateway?: string;
  dev?: string;
}

const familyFlag = (family: Family): string => (family === "IPv6" ? "-6" : "-4");
const same = (a: KernelRoute, b: Route, dev: string | undefined): boolean =>
  a.gateway === b.via && (dev === undefined || a.dev === dev);

function wordsOf({ dst, via, dev }: Route, link: string | undefined): string {
  if (via === undefined) return `${dst} dev ${dev}`;
  return link === undefined ? `${dst} via ${via}` : `${dst} via ${via} dev ${link} onlink`;
}

/** The kernel's routes of a family, for a look that costs no process. */
export const kernelTable = (family: Family): Promise<string> =>
  readFile(family === "IPv6" ? "/proc/net/ipv6_route" : "/proc/net/route", "utf8");

export class RouteTable {
  readonly #run: Run;
  readonly #log: Log;
  /** Routes of others in the same network namespace (a second instance) are outside of this. */
  readonly #cluster: readonly string[];
  readonly #table: (family: Family) => Promise<string>;
  #refused = "";
  /** What was wanted of IPv4, and the kernel's table that had it. */
  #settled = "";

  /** `ownCidrs`: only routes inside of these ranges are taken away. */
  constructor(options: {
    run: Run;
    log: Log;
    ownCidrs: readonly string[];
    table?: (family: Family) => Promise<string>;
  }) {
    this.#run = options.run;
    this.#log = options.log;
    this.#cluster = options.ownCidrs;
    this.#table = options.table ?? kernelTable;
  }

  /** Brings the kernel's routes of a family to `wanted`; with `dev` neighbours are on that link. */
  async settle(family: Family, wanted: readonly Route[], dev?: string): Promise<void> {
    const flag = familyFlag(family);
    const seen = family === "IPv4" ? JSON.stringify([wanted, dev, await this.#table(family)]) : "";
    if (seen !== "" && seen === this.#settled) return;
    const there = await this.#list(flag);
    const lines: string[] = [];
    for (const route of wanted) {
      const old = there.find(({ dst }) => dst === route.dst);
      if (old !== undefined && same(old, route, route.dev ?? dev)) continue;
      lines.push(`route replace ${wordsOf(route, dev)} proto ${ROUTE_PROTOCOL}`);
    }
    const kept = new Set(wanted.map(({ dst }) => dst));
    for (const { dst } of there) {
      if (kept.has(dst) || !this.#cluster.some((cidr) => contains(cidr, dst))) continue;
      lines.push(`route del ${dst} proto ${ROUTE_PROTOCOL}`);
    }
    if (seen !== "") this.#settled = lines.length === 0 ? seen : "";
    await this.#batch(["ip", flag], lines);
  }

  /** The VXLAN link of this node, with a static entry for each peer; learning is off. */
  async settleOverlay({ link, members }: Overlay): Promise<void> {
    const { name } = link;
    await this.#overlayLink(link);
    const fdb = await this.#json<FdbEntry>(["bridge", "-j", "fdb", "show", "dev", name]);
    const show = ["ip", "-j", "neigh", "show", "dev", name, "nud", "permanent"];
    const neighbours = await this.#json<Neighbour>(show);
    const bridge: string[] = [];
    const ip: string[] = [];
    for (const { mac, address, podCidr } of members) {
      const base = podCidr.split("/", 1)[0] ?? "";
      const known = fdb.filter((entry) => entry.mac === mac);
      if (known.length !== 1 || known[0]?.dst !== address) {
        bridge.push(`fdb replace ${mac} dev ${name} dst ${address}`);
      }
      if (!neighbours.some((entry) => entry.dst === base && entry.lladdr === mac)) {
        ip.push(`neigh replace ${base} lladdr ${mac} dev ${name} nud permanent`);
      }
    }
    const macs = new Set(members.map(({ mac }) => mac));
    for (const { mac, dst } of fdb) {
      if (dst !== undefined && !macs.has(mac)) bridge.push(`fdb del ${mac} dev ${name} dst ${dst}`);
    }
    for (const { dst, lladdr } of neighbours) {
      if (!macs.has(lladdr)) ip.push(`neigh del ${dst} dev ${name}`);
    }
    await this.#batch(["bridge"], bridge);
    await this.#batch(["ip"], ip);
  }

  async removeOverlay(name: string): Promise<void> {
    const shown = await this.#run(["ip", "link", "show", "dev", name]);
    if (shown.exitCode === 0) await this.#batch(["ip"], [`link delete dev ${name}`]);
  }

  async #overlayLink(link: OverlayLink): Promise<void> {
    const shown = await this.#run(["ip", "-j", "-d", "link", "show", "dev", link.name]);
    const there = shown.exitCode === 0 ? (JSON.parse(shown.stdout) as Shown[])[0] : undefined;
    const data = there?.linkinfo?.info_data;
    const right = data?.id === link.vni && data.local === link.local && there?.mtu === link.mtu;
    if (right && there?.flags?.includes("UP") === true) return;
    const lines = there === undefined ? [] : [`link delete dev ${link.name}`];
    lines.push(
      `link add ${link.name} address ${link.mac} mtu ${link.mtu} type vxlan id ${link.vni} ` +
        `dstport ${VXLAN_PORT} local ${link.local} nolearning`,
      `addr replace ${link.address}/32 dev ${link.name}`,
      `link set ${link.name} up`,
    );
    await this.#batch(["ip"], lines);
  }

  async #list(flag: string): Promise<KernelRoute[]> {
    return this.#json<KernelRoute>(["ip", "-j", flag, "route", "show", "proto", ROUTE_PROTOCOL]);
  }

  async #json<T>(argv: readonly string[]): Promise<T[]> {
    const result = await this.#run(argv);
    if (result.exitCode !== 0) throw new Error(`${argv.join(" ")}: ${result.stderr.trim()}`);
    return JSON.parse(result.stdout.trim() || "[]") as T[];
  }

  /**
   * All lines are tried; what the kernel refused is thrown, and told once while it stays the same.
   */
  async #batch(program: readonly string[], lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    for (const line of lines) mustBeLine(line);
    const argv = [...program, "-force", "-batch", "-"];
    const result = await this.#run(argv, { stdin: `${lines.join("\n")}\n` });
    if (result.exitCode === 0) return;
    const refused = result.stderr.trim().replaceAll("\n", "; ");
    if (refused !== this.#refused) {
      this.#refused = refused;
      const hint = "nodes that share no LAN need --network vxlan";
      this.#log.warn("routes refused by the kernel", { error: refused, hint });
    }
    throw new Error(`set routes: ${refused}`);
  }
}

interface Shown {
  mtu?: number;
  flags?: string[];
  linkinfo?: { info_data?: { id?: number; local?: string } };
}
