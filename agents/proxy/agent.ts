/** Keeps this node's Service rules as Services and EndpointSlices have it, within milliseconds. */
import type { Owed } from "#agents/network/answers.ts";
import type { Flows } from "#agents/network/flows.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import type { TableWriter } from "#agents/network/tables.ts";
import { type ProxyMode, ServiceBackend } from "#agents/proxy/backend.ts";
import { clearStaleFlows } from "#agents/proxy/conntrack.ts";
import { drained } from "#agents/proxy/drain.ts";
import { HealthServers, type ServeHealth, serveHealthOn } from "#agents/proxy/health.ts";
import type { Backend, ProxyConfig } from "#agents/proxy/plan.ts";
import { ServiceRules } from "#agents/proxy/state.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { keepLevel, type Level } from "#base/level.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import type { Caches } from "#client/cache.types.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { nodes } from "#resources/kinds/node.ts";
import { services } from "#resources/kinds/service.ts";

export interface ProxyAgentOptions {
  run: Run;
  caches: Caches;
  /** One for each family that the cluster has. */
  writers: Partial<Record<ProxyConfig["family"], PacketWriter>>;
  /** For nft maps; left out: rules of iptables only. */
  tables?: Partial<Record<ProxyConfig["family"], TableWriter>>;
  /** Default `auto`: maps where Services are many. */
  mode?: ProxyMode;
  nodeName: string;
  clusterCidr: string;
  /** Cluster IPs that this node answers itself (DNS). */
  localAddresses?: readonly string[];
  /** One bit of the packet mark. Default 0x4000. */
  markBit?: number;
  /** Real sockets where left out. */
  serveHealth?: ServeHealth;
  /** What a pod's servers have under way; nobody waits for it where left out. */
  owed?: (podUid: string) => Promise<Owed>;
  /** Connections to what Services lead to no more; they stay where left out. */
  flows?: Flows;
  clock: Clock;
  log: Log;
}

export interface ProxyAgent {
  /** Works until the signal aborts. Rules stay: traffic goes on without the agent. */
  start(signal: AbortSignal): void;
  /** Resolves when every change seen so far is in the kernel. */
  settled(): Promise<void>;
  /**
   * Resolves when no new connection of a Service reaches the pod from this node and its requests
   * are answered; soon for any other.
   */
  drained(podUid: string): Promise<void>;
}

const MARK_BIT = 0x4000;
const ZONE_LABEL = "topology.kubernetes.io/zone";

/** Changes that come together (a rolling update's) are applied together. */
const GATHER_MS = 3;

class Agent implements ProxyAgent {
  readonly #options: ProxyAgentOptions;
  readonly #levels: Level[] = [];

  constructor(options: ProxyAgentOptions) {
    this.#options = options;
  }

  start(signal: AbortSignal): void {
    for (const [family, writer] of Object.entries(this.#options.writers)) {
      this.#startFamily(family as ProxyConfig["family"], writer, signal);
    }
  }

  async settled(): Promise<void> {
    await this.#synced();
    for (const level of this.#levels) await level.settled();
  }

  drained(podUid: string): Promise<void> {
    const { caches, clock, log, owed, flows } = this.#options;
    const parts = {
      slices: caches.of(endpointSlices),
      settled: () => this.settled(),
      ...(owed && { owed }),
      ...(flows && {
        letGo: (ips: readonly string[]) => flows.end(ips.map((ip) => ({ ip, unanswered: true }))),
      }),
    };
    return drained({ ...parts, clock, log }, podUid);
  }

  /**
   * Clients that what has left does not answer are to go elsewhere, from this node as well. An
   * answer that is on its way arrives first.
   */
  async #letGo(left: readonly Backend[], rules: ServiceRules, signal: AbortSignal): Promise<void> {
    await sleep(this.#options.clock, limits.drainQuietMs, signal);
    if (signal.aborted) return;
    // It may be back, or a pod of another Service.
    const gone = rules.unused(left);
    await this.#options.flows?.end(gone.map(({ ip, port }) => ({ ip, port, unanswered: true })));
  }

  async #synced(): Promise<void> {
    const { caches } = this.#options;
    await caches.of(services).whenSynced();
    await caches.of(endpointSlices).whenSynced();
    await caches.of(nodes).whenSynced();
  }

  #config(family: ProxyConfig["family"]): ProxyConfig {
    const { nodeName, clusterCidr, markBit, localAddresses, caches } = this.#options;
    const zone = caches.of(nodes).get(nodeName)?.metadata.labels?.[ZONE_LABEL];
    return {
      nodeName,
      clusterCidr,
      family,
      markBit: markBit ?? MARK_BIT,
      ...(zone !== undefined && { zone }),
      ...(localAddresses && { localAddresses }),
    };
  }

  #startFamily(family: ProxyConfig["family"], writer: PacketWriter, signal: AbortSignal): void {
    const { caches, clock, log, run, nodeName } = this.#options;
    const rules = new ServiceRules(caches, () => this.#config(family));
    const table = this.#options.tables?.[family];
    const backend = new ServiceBackend({ mode: this.#options.mode ?? "auto", writer, table, log });
    const health = new HealthServers(this.#options.serveHealth ?? serveHealthOn(), log);
    // One answer for both families: a Service with two has its endpoints in both.
    const answers = family === Object.keys(this.#options.writers)[0];
    const work = async () => {
      const { udp, left } = await rules.settle((ports, config) => backend.apply(ports, config));
      if (answers) health.settle(rules.health());
      if (left.length > 0) void this.#letGo(left, rules, signal);
      await clearStaleFlows(udp, { run, log, family });
    };
    const level = keepLevel({ clock, log, signal, gatherMs: GATHER_MS, work });
    this.#levels.push(level);
    const verify = () => backend.verify();
    const check = { clock, log, signal, everyMs: limits.packetRulesCheckMs, work: verify };
    keepLevel(check).poke();
    const ends = [
      caches.of(services).onChange((change) => rules.serviceChanged(change) && level.poke()),
      caches.of(endpointSlices).onChange((change) => rules.sliceChanged(change) && level.poke()),
      caches.of(nodes).onChange(({ key }) => {
        if (key === nodeName && rules.configChanged()) level.poke();
      }),
    ];
    const end = () => {
      for (const stop of ends) stop();
      health.stop();
    };
    signal.addEventListener("abort", end, { once: true });
    void this.#synced().then(() => {
      rules.everything();
      level.poke();
    });
  }
}

export function createProxyAgent(options: ProxyAgentOptions): ProxyAgent {
  return new Agent(options);
}
