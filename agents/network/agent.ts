/** Keeps this node's routes and base packet rules as the Nodes and the attached pods have it. */
import type { PodNetwork } from "#agents/network/cni.ts";
import { planFirewall } from "#agents/network/firewall.ts";
import { overlayName } from "#agents/network/instance.ts";
import { planOverlay } from "#agents/network/overlay.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import type { NetworkState } from "#agents/network/plan.ts";
import {
  ownAddress,
  ownCidrs,
  planNetworkRules,
  planPeers,
  planRoutes,
} from "#agents/network/plan.ts";
import { kernelTable, RouteTable } from "#agents/network/routes.ts";
import { WayToServices } from "#agents/network/way.ts";
import type { Family } from "#base/cidr.ts";
import type { Clock } from "#base/clock.ts";
import { keepLevel, type Level } from "#base/level.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import type { Caches } from "#client/cache.types.ts";
import { nodes } from "#resources/kinds/node.ts";
import type { Node } from "#resources/types.gen.ts";

export interface NetworkAgentOptions {
  run: Run;
  caches: Caches;
  podNetwork: PodNetwork;
  /** One for each family that the cluster has. */
  writers: Partial<Record<Family, PacketWriter>>;
  nodeName: string;
  clusterCidr: string;
  mode: "host-gw" | "vxlan" | "none";
  instance: string;
  /** Of the overlay, bytes. Default 1450. */
  mtu?: number;
  /** Host ports and node ports answer on 127.0.0.1, too (kube-proxy's default). Default true. */
  localhostPorts?: boolean;
  /** Of the API, where it is on this node. */
  apiPort?: number;
  /** Servers of the datastore, kept from pods. */
  datastore?: NetworkState["datastore"];
  /** Where this node answers DNS. */
  dnsAddresses?: readonly string[];
  /** Of the whole cluster; left out: Services are reached by other routes. */
  serviceCidr?: string;
  /** The kernel's routes, as text; tests say it. */
  table?: (family: Family) => Promise<string>;
  clock: Clock;
  log: Log;
}

export interface NetworkAgent {
  /** Works until the signal aborts. Nothing is taken away then: pods go on. */
  start(signal: AbortSignal): void;
  /** Resolves when everything known so far is in the kernel. */
  settled(): Promise<void>;
  /** For uninstalling: removes routes and overlay; packet rules are the writer's to clear. */
  clear(): Promise<void>;
}

const OVERLAY_MTU = 1450;

/** What routes and rules depend on: heartbeats change a Node every few seconds. */
function relevant(node: Node | undefined): string {
  const { podCIDR, podCIDRs } = node?.spec ?? {};
  return JSON.stringify([podCIDR, podCIDRs, node?.status?.addresses]);
}

class Agent implements NetworkAgent {
  readonly #options: NetworkAgentOptions;
  readonly #routes: RouteTable;
  readonly #way: WayToServices;
  /** Rules follow pods; routes follow nodes alone, and their looks cost programs. */
  #levels: readonly Level[] = [];

  constructor(options: NetworkAgentOptions) {
    this.#options = options;
    const { run, serviceCidr = "", table = kernelTable } = options;
    this.#routes = new RouteTable({ ...options, ownCidrs: ownCidrs(options) });
    this.#way = new WayToServices({ run, serviceCidr, table });
  }

  start(signal: AbortSignal): void {
    const { caches, podNetwork, clock, log } = this.#options;
    const cache = caches.of(nodes);
    const common = { clock, log, signal };
    const everyMs = limits.routesCheckMs;
    const rules = keepLevel({ ...common, everyMs, work: () => this.#settleRules() });
    const routes = keepLevel({ ...common, everyMs, work: () => this.#settleRoutes() });
    const levels = [rules, routes];
    const verify = () => this.#verify();
    const check = keepLevel({ ...common, everyMs: limits.packetRulesCheckMs, work: verify });
    const ends = [
      cache.onChange(({ before, after }) => {
        if (relevant(before) === relevant(after)) return;
        for (const level of levels) level.poke();
      }),
      podNetwork.onChange(() => rules.poke()),
    ];
    const end = () => {
      for (const stop of ends) stop();
    };
    signal.addEventListener("abort", end, { once: true });
    this.#levels = levels;
    void cache.whenSynced().then(async () => {
      await this.#prepare();
      for (const level of levels) level.poke();
      check.poke();
    });
  }

  async settled(): Promise<void> {
    await this.#options.caches.of(nodes).whenSynced();
    await Promise.all(this.#levels.map((level) => level.settled()));
  }

  async clear(): Promise<void> {
    await this.#routes.settle("IPv4", []);
    await this.#routes.settle("IPv6", []);
    await this.#routes.removeOverlay(overlayName(this.#options.instance));
  }

  async #verify(): Promise<void> {
    for (const writer of Object.values(this.#options.writers)) await writer.verify();
  }

  async #prepare(): Promise<void> {
    const { run, log, instance, mode } = this.#options;
    const files = ["/proc/sys/net/ipv4/ip_forward"];
    if (this.#local) files.push("/proc/sys/net/ipv4/conf/all/route_localnet");
    const result = await run(["tee", ...files], { stdin: "1\n" });
    if (result.exitCode !== 0) log.warn("sysctl not set", { error: result.stderr.trim() });
    if (mode !== "vxlan") await this.#routes.removeOverlay(overlayName(instance));
  }

  get #local(): boolean {
    return this.#options.localhostPorts ?? true;
  }

  async #state(): Promise<NetworkState> {
    const { caches, podNetwork, nodeName, clusterCidr, mode } = this.#options;
    const { apiPort, dnsAddresses, datastore } = this.#options;
    return {
      nodeName,
      clusterCidr,
      nodes: caches.of(nodes).list(),
      attachments: await podNetwork.attachments(),
      localhostPorts: this.#local,
      overlay: mode === "vxlan",
      ...(apiPort !== undefined && { apiPort }),
      ...(dnsAddresses && { dnsAddresses }),
      ...(datastore && { datastore }),
    };
  }

  async #settleRules(): Promise<void> {
    const state = await this.#state();
    const families = Object.entries(this.#options.writers) as Array<[Family, PacketWriter]>;
    for (const [family, writer] of families) {
      const firewall = planFirewall(state, family);
      const rules = planNetworkRules(state, family);
      await writer.apply("network", {
        chains: [...firewall.chains, ...rules.chains],
        hooks: [...firewall.hooks, ...rules.hooks],
      });
    }
  }

  async #settleRoutes(): Promise<void> {
    const state = await this.#state();
    for (const family of Object.keys(this.#options.writers) as Family[]) {
      await this.#settleFamily(state, family);
    }
  }

  async #settleFamily(state: NetworkState, family: Family): Promise<void> {
    const { instance, mtu, mode } = this.#options;
    const peers = mode === "none" ? [] : planPeers(state, family);
    const way = await this.#way.routes(family, ownAddress(state, family));
    if (mode !== "vxlan" || family === "IPv6") {
      return this.#routes.settle(family, [...planRoutes(peers), ...way]);
    }
    const overlay = planOverlay(state, peers, { instance, mtu: mtu ?? OVERLAY_MTU });
    if (overlay === undefined) return;
    await this.#routes.settleOverlay(overlay);
    await this.#routes.settle(family, [...overlay.routes, ...way], overlay.link.name);
  }
}

export function createNetworkAgent(options: NetworkAgentOptions): NetworkAgent {
  return new Agent(options);
}
