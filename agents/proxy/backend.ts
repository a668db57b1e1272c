/**
 * How the node's Services get into the kernel: rules of iptables, or maps of nft where they are
 * many. Both answer packets alike; changing over leaves no moment without either.
 */
import type { PacketWriter } from "#agents/network/packets.ts";
import type { TableWriter } from "#agents/network/tables.ts";
import { type PortPart, serviceMaps } from "#agents/proxy/maps.ts";
import type { ProxyConfig, ServicePortPlan } from "#agents/proxy/plan.ts";
import {
  forwardRules,
  joinRules,
  type ServicePortRules,
  servicePortRules,
} from "#agents/proxy/rules.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export type ProxyMode = "auto" | "iptables" | "nftables";

export interface BackendOptions {
  mode: ProxyMode;
  writer: PacketWriter;
  /** Left out: rules of iptables only. */
  table: TableWriter | undefined;
  log: Log;
}

/** Pure. Whether maps serve this many ports; some leeway, so that no node changes to and fro. */
export function wantsMaps(mode: ProxyMode, ports: number, now: boolean): boolean {
  if (mode !== "auto") return mode === "nftables";
  return ports >= (now ? limits.proxyMapsPorts / 2 : limits.proxyMapsPorts);
}

export class ServiceBackend {
  readonly #options: BackendOptions;
  /** Rules of each plan: most changes plan one Service and leave thousands as they are. */
  readonly #rules = new WeakMap<ServicePortPlan, ServicePortRules>();
  readonly #parts = new WeakMap<ServicePortPlan, PortPart>();
  /** Undefined before the first rules: an earlier process may have left either. */
  #maps: boolean | undefined;
  /** The table could not be written where nobody insists on it. */
  #unable = false;

  constructor(options: BackendOptions) {
    this.#options = options;
  }

  async apply(ports: readonly ServicePortPlan[], config: ProxyConfig): Promise<void> {
    const { table, mode } = this.#options;
    const wants = wantsMaps(mode, ports.length, this.#maps === true);
    if (table !== undefined && wants && !this.#unable) {
      if (await this.#applyMaps(table, ports, config)) return;
    }
    const { writer } = this.#options;
    await writer.apply("proxy", joinRules(this.#portRules(ports, config), config));
    if (this.#maps !== false) await table?.clear();
    this.#maps = false;
  }

  /** Mends what someone else changed in the table; the rules have their own watch. */
  async verify(): Promise<void> {
    if (this.#maps === true) await this.#options.table?.verify();
  }

  async #applyMaps(
    table: TableWriter,
    ports: readonly ServicePortPlan[],
    config: ProxyConfig,
  ): Promise<boolean> {
    const { mode, writer, log } = this.#options;
    try {
      await table.apply(serviceMaps(ports, config, this.#parts));
    } catch (error) {
      if (mode === "nftables") throw error;
      this.#unable = true;
      log.warn("nftables does not work here; rules of iptables serve all Services", {
        error: messageOf(error),
      });
      return false;
    }
    await writer.apply("proxy", forwardRules(config));
    if (this.#maps !== true) log.info("Services are served by nft maps", { ports: ports.length });
    this.#maps = true;
    return true;
  }

  #portRules(ports: readonly ServicePortPlan[], config: ProxyConfig): ServicePortRules[] {
    return ports.map((port) => {
      let rules = this.#rules.get(port);
      if (rules === undefined) {
        rules = servicePortRules(port, config);
        this.#rules.set(port, rules);
      }
      return rules;
    });
  }
}
