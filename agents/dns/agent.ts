/**
 * The cluster's DNS on this node: answers at the cluster DNS address, which the node has on its
 * loopback interface, from the node's own caches, so that a node that is cut off still resolves
 * what it knows.
 */
import { readFile } from "node:fs/promises";
import { createExchange } from "#agents/dns/exchange.ts";
import { type Exchange, Forwarder } from "#agents/dns/forward.ts";
import { type Listening, listen } from "#agents/dns/listen.ts";
import { Zone } from "#agents/dns/plan.ts";
import { Resolver } from "#agents/dns/resolver.ts";
import { type Forwarding, parseResolvConf, planForwarding } from "#agents/dns/upstreams.ts";
import { configOf, viewOf } from "#agents/dns/view.ts";
import type { PacketWriter, RuleSet } from "#agents/network/packets.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { keepLevel } from "#base/level.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import type { Random } from "#base/random.ts";
import type { ShownCaches } from "#client/cache.types.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { services } from "#resources/kinds/service.ts";

export interface DnsAgentOptions {
  run: Run;
  caches: ShownCaches;
  /** The cluster DNS address; two with a comma for dual-stack. */
  address: string;
  /** `cluster.local`. */
  domain: string;
  /** Service and pod CIDRs. */
  cidrs: readonly string[];
  /** Where port 53 of the address is someone else's, rules lead to another port; owner `dns`. */
  writers?: Partial<Record<"IPv4" | "IPv6", Pick<PacketWriter, "apply">>>;
  /** The machine's resolvers. Default /etc/resolv.conf. */
  resolvConf?: string;
  clock: Clock;
  random: Random;
  log: Log;
  /** Asks other servers; real sockets where left out. */
  exchange?: Exchange;
}

export interface DnsAgent {
  /** Resolves once it answers on each address; tries again until then, or the signal aborts. */
  start(signal: AbortSignal): Promise<void>;
  /** For uninstalling: takes the address off the loopback interface. */
  clear(): Promise<void>;
}

const PORT = 53;

const widthOf = (address: string): number => (address.includes(":") ? 128 : 32);

/** Leads port 53 of the address to where we listen. */
function portRules(address: string, port: number): RuleSet {
  const to = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
  const rules = ["udp", "tcp"].map(
    (name) =>
      `-d ${address}/${widthOf(address)} -p ${name} --dport ${PORT} -j DNAT --to-destination ${to}`,
  );
  return {
    chains: port === PORT ? [] : [{ table: "nat", name: "DNS", rules }],
    hooks:
      port === PORT
        ? []
        : [
            { table: "nat", from: "PREROUTING", to: "DNS" },
            { table: "nat", from: "OUTPUT", to: "DNS" },
          ],
  };
}

class Agent implements DnsAgent {
  readonly #options: DnsAgentOptions;
  readonly #addresses: readonly string[];
  readonly #listening = new Map<string, Listening>();
  #forwarding: Promise<Forwarding> | undefined;
  #readMs = 0;

  constructor(options: DnsAgentOptions) {
    this.#options = options;
    this.#addresses = options.address.split(",");
  }

  async start(signal: AbortSignal): Promise<void> {
    const { caches, clock, log, random, domain, cidrs } = this.#options;
    const sockets = createExchange(clock, random);
    const exchange = this.#options.exchange ?? sockets.ask;
    const config = { domain: domain.toLowerCase(), addresses: this.#addresses };
    const resolver = new Resolver({
      config,
      cidrs,
      zone: new Zone(config, viewOf(caches)),
      forwarder: new Forwarder({ clock, log, exchange }),
      forwarding: () => this.#currentForwarding(),
      random,
    });
    const ends = this.#follow(resolver);
    signal.addEventListener("abort", () => {
      for (const end of ends) end();
      for (const one of this.#listening.values()) one.close();
      sockets.close();
    });
    await caches.of(services).whenSynced();
    await caches.of(endpointSlices).whenSynced();
    await caches.of(namespaces).whenSynced();
    // Someone may take an address off the interface.
    const work = () => this.#keepListening(resolver);
    const everyMs = limits.packetRulesCheckMs;
    const level = keepLevel({ clock, log, signal, work, everyMs });
    level.poke();
    await level.settled();
  }

  async clear(): Promise<void> {
    for (const address of this.#addresses) {
      await this.#options.run(["ip", "address", "del", this.#cidr(address), "dev", "lo"]);
    }
  }

  #follow(resolver: Resolver): Array<() => void> {
    const { caches } = this.#options;
    const forget = () => resolver.forget();
    return [
      caches.of(services).onChange(forget),
      caches.of(endpointSlices).onChange(forget),
      caches.of(namespaces).onChange(forget),
      configOf(caches).onChange(() => {
        this.#forwarding = undefined;
      }),
    ];
  }

  /** Upstream servers, read again after some seconds: DHCP may give others. */
  #currentForwarding(): Promise<Forwarding> {
    const nowMs = this.#options.clock.monotonic();
    if (this.#forwarding === undefined || nowMs - this.#readMs >= limits.dnsResolvConfMs) {
      this.#readMs = nowMs;
      this.#forwarding = this.#readForwarding();
    }
    return this.#forwarding;
  }

  async #readForwarding(): Promise<Forwarding> {
    const path = this.#options.resolvConf ?? "/etc/resolv.conf";
    const text = await readFile(path, "utf8").catch(() => "");
    const machine = parseResolvConf(text, this.#addresses);
    return planForwarding(machine, configOf(this.#options.caches).list()[0]);
  }

  #cidr(address: string): string {
    return `${address}/${widthOf(address)}`;
  }

  /** What fails for one address holds up no other. @throws the first failure */
  async #keepListening(resolver: Resolver): Promise<void> {
    const failures: Error[] = [];
    for (const address of this.#addresses) {
      try {
        await this.#keepAddress(address, resolver);
      } catch (cause) {
        failures.push(new Error(`no DNS at ${address}: ${messageOf(cause)}`, { cause }));
      }
    }
    if (failures[0] !== undefined) throw failures[0];
  }

  async #keepAddress(address: string, resolver: Resolver): Promise<void> {
    const { run, log, writers } = this.#options;
    const family = address.includes(":") ? "IPv6" : "IPv4";
    // Nobody listens on an address of IPv6 that the kernel still looks for elsewhere.
    const flags = family === "IPv6" ? ["nodad"] : [];
    const put = ["ip", "address", "replace", this.#cidr(address), "dev", "lo", ...flags];
    const result = await run(put);
    if (result.exitCode !== 0) throw new Error(`${put.join(" ")}: ${result.stderr.trim()}`);
    if (this.#listening.has(address)) return;
    const listening = await listenSomewhere({ address, resolver, log });
    this.#listening.set(address, listening);
    await writers?.[family]?.apply("dns", portRules(address, listening.port));
  }
}

/** On port 53, or on any port where another server on the machine has it for all addresses. */
async function listenSomewhere(options: {
  address: string;
  resolver: Resolver;
  log: Log;
}): Promise<Listening> {
  try {
    return await listen({ ...options, port: PORT });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE") throw error;
    options.log.info("port 53 is taken by another server", { address: options.address });
    return await listen({ ...options, port: 0 });
  }
}

export function createDnsAgent(options: DnsAgentOptions): DnsAgent {
  return new Agent(options);
}
