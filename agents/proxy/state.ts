/** What is planned for each Service, so that a change plans one of them and not 5,000. */

import { changedUdpPorts, leftTcpBackends, tcpBackends } from "#agents/proxy/conntrack.ts";
import { healthOf, type ServiceHealth } from "#agents/proxy/health.ts";
import type { Backend, ProxyConfig, ServicePortPlan } from "#agents/proxy/plan.ts";
import { planService, serviceOf } from "#agents/proxy/plan.ts";
import { nextTurn } from "#base/turn.ts";
import type { CacheChange, Caches, Index } from "#client/cache.types.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { services } from "#resources/kinds/service.ts";
import type { EndpointSlice, Service } from "#resources/types.gen.ts";

interface Planned {
  ports: readonly ServicePortPlan[];
  health: ReturnType<typeof healthOf>;
}

/** What of the kernel's connection tracking may be out of date after a change. */
export interface Outdated {
  /** UDP ports whose backends changed. */
  udp: ServicePortPlan[];
  /** TCP backends that a Service leads to no more. */
  left: Backend[];
}

/** Slices by the Service they belong to. */
export const slicesOfService: Index<EndpointSlice> = {
  name: "service",
  values: (slice) => {
    const key = serviceOf(slice);
    return key === undefined ? [] : [key];
  },
};

/** Services planned between two pauses of the event loop. */
const SERVICES_PER_TURN = 200;

export class ServiceRules {
  readonly #caches: Caches;
  readonly #configNow: () => ProxyConfig;
  #config: ProxyConfig;
  #all = false;
  #dirty = new Set<string>();
  readonly #planned = new Map<string, Planned>();
  /** Its keys. */
  #sorted: readonly string[] | undefined;
  /** As the kernel still has it, of what is planned anew. */
  readonly #before = new Map<string, Planned | undefined>();

  constructor(caches: Caches, config: () => ProxyConfig) {
    this.#caches = caches;
    this.#configNow = config;
    this.#config = config();
  }

  /** Whether it matters: a slice may belong to nothing. */
  sliceChanged({ before, after }: CacheChange<EndpointSlice>): boolean {
    const keys = [before, after].flatMap((slice) => (slice && serviceOf(slice)) ?? []);
    for (const key of keys) this.#dirty.add(key);
    return keys.length > 0;
  }

  serviceChanged({ key }: CacheChange<Service>): boolean {
    this.#dirty.add(key);
    return true;
  }

  configChanged(): boolean {
    const config = this.#configNow();
    if (config.zone === this.#config.zone) return false;
    this.everything();
    return true;
  }

  everything(): void {
    this.#all = true;
  }

  /** Plans what changed and hands the whole over. */
  async settle(
    apply: (ports: readonly ServicePortPlan[], config: ProxyConfig) => Promise<void>,
  ): Promise<Outdated> {
    const dirty = this.#take();
    let turn = 0;
    for (const key of dirty) {
      if (!this.#before.has(key)) this.#before.set(key, this.#planned.get(key));
      this.#plan(key);
      if (++turn % SERVICES_PER_TURN === 0) await nextTurn();
    }
    try {
      await apply(this.#join(), this.#config);
    } catch (error) {
      for (const key of dirty) this.#dirty.add(key);
      throw error;
    }
    const outdated: Outdated = { udp: [], left: [] };
    for (const [key, old] of this.#before) {
      const [before, after] = [old?.ports ?? [], this.#planned.get(key)?.ports ?? []];
      outdated.udp.push(...changedUdpPorts(before, after));
      outdated.left.push(...leftTcpBackends(before, after));
    }
    this.#before.clear();
    return outdated;
  }

  /** Of these TCP backends those that no Service leads to. */
  unused(backends: readonly Backend[]): Backend[] {
    const unused = new Map(backends.map((backend) => [`${backend.ip} ${backend.port}`, backend]));
    const ips = new Set(backends.map(({ ip }) => ip));
    for (const { ports } of this.#planned.values()) {
      for (const { ip, port } of tcpBackends(ports))
        if (ips.has(ip)) unused.delete(`${ip} ${port}`);
    }
    return [...unused.values()];
  }

  #take(): Set<string> {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    if (!this.#all) return dirty;
    this.#all = false;
    this.#config = this.#configNow();
    for (const key of this.#planned.keys()) dirty.add(key);
    for (const { metadata } of this.#caches.of(services).list()) {
      dirty.add(`${metadata.namespace}/${metadata.name}`);
    }
    return dirty;
  }

  #plan(key: string): void {
    const service = this.#caches.of(services).get(key);
    if (service === undefined) {
      if (this.#planned.delete(key)) this.#sorted = undefined;
      return;
    }
    const slices = this.#caches.of(endpointSlices).indexed(slicesOfService, key);
    const ports = planService(service, slices, this.#config);
    if (!this.#planned.has(key)) this.#sorted = undefined;
    this.#planned.set(key, { ports, health: healthOf(service, ports) });
  }

  /** What load balancers are told, by healthCheckNodePort. */
  health(): Map<number, ServiceHealth> {
    const found = new Map<number, ServiceHealth>();
    for (const { health } of this.#planned.values()) {
      if (health !== undefined) found.set(health.port, health.health);
    }
    return found;
  }

  /** All ports in a fixed order: where two claim an address, the same one always has it. */
  #join(): ServicePortPlan[] {
    const ports: ServicePortPlan[] = [];
    this.#sorted ??= [...this.#planned.keys()].sort();
    for (const key of this.#sorted) {
      ports.push(...(this.#planned.get(key)?.ports ?? []));
    }
    return ports;
  }
}
