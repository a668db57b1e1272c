/**
 * A way for the node's own packets to Services. The kernel puts an endpoint in the place of a
 * Service's address only after it has found a route for that, and on a LAN without a router there
 * is none: there one to the link of the node's own address does. Nothing ever leaves by it.
 */
import { cidrsOf, type Route } from "#agents/network/plan.ts";
import type { Family } from "#base/cidr.ts";
import type { Run } from "#base/process.ts";

export interface WayOptions {
  run: Run;
  /** Of the whole cluster; two with a comma for dual-stack. */
  serviceCidr: string;
  /** The kernel's routes as `/proc/net/route` or `/proc/net/ipv6_route` has them. */
  table(family: Family): Promise<string>;
}

const LINK: Record<Family, number> = { IPv4: 0, IPv6: 9 };
const rowsOf = (table: string): string[][] =>
  table.split("\n").map((line) => line.trim().split(/\s+/));

/** Whether a packet to anywhere has a route. Pure. */
export function hasDefaultRoute(table: string, family: Family): boolean {
  return rowsOf(table).some((fields) => {
    const link = fields[LINK[family]];
    // A route that refuses has no interface: `*`, or the loopback.
    if (link === "*" || link === "lo") return false;
    if (family === "IPv4") return fields[1] === "00000000" && fields[7] === "00000000";
    return /^0{32}$/.test(fields[0] ?? "") && fields[1] === "00";
  });
}

/** Where an address is may change only together with these. */
function linksOf(table: string, family: Family): string {
  return [...new Set(rowsOf(table).map((fields) => fields[LINK[family]] ?? ""))].sort().join();
}

export class WayToServices {
  readonly #options: WayOptions;
  /** What was found last of a family, so that most looks start no program. */
  readonly #found = new Map<Family, { key: string; link: string }>();

  constructor(options: WayOptions) {
    this.#options = options;
  }

  /** No routes where there is a default one, or `own` is not known. */
  async routes(family: Family, own: string | undefined): Promise<Route[]> {
    const { serviceCidr, table } = this.#options;
    const wanted = cidrsOf(serviceCidr, family);
    if (own === undefined || wanted.length === 0) return [];
    const text = await table(family);
    if (hasDefaultRoute(text, family)) return [];
    const key = `${own} ${linksOf(text, family)}`;
    let found = this.#found.get(family);
    if (found?.key !== key) {
      const link = await this.#linkOf(own);
      if (link === undefined) return [];
      found = { key, link };
      this.#found.set(family, found);
    }
    const dev = found.link;
    return wanted.map((dst) => ({ dst, dev }));
  }

  async #linkOf(address: string): Promise<string | undefined> {
    const argv = ["ip", "-j", "address", "show", "to", address];
    const { exitCode, stdout } = await this.#options.run(argv);
    if (exitCode !== 0) return undefined;
    const links = JSON.parse(stdout.trim() || "[]") as Array<{ ifname?: string }>;
    return links.find(({ ifname }) => ifname !== undefined)?.ifname;
  }
}
