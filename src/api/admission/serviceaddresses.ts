/**
 * Gives Services their addresses and node ports, each one once. What a Service lets go of comes
 * back with the store's own event of it, so that nothing is given out before the change is durable.
 */
import type { Attributes, MakePlugin, Plugin } from "#api/admission.ts";
import { followChanges } from "#api/changes.ts";
import { peek } from "#api/codec.ts";
import type { Core } from "#api/core.ts";
import { refuse } from "#api/errors.ts";
import { cloneJson } from "#api/json.ts";
import { chooseFamilies, isHeadless, mirrorClusterIp } from "#api/services/families.ts";
import { keepAllocated, needsHealthPort, needsNodePorts } from "#api/services/ports.ts";
import { AddressRange, familyOf, NotAvailable, PortRange } from "#api/services/ranges.ts";
import { type Cause, invalid } from "#resources/field.ts";
import { heldBy, needsAddress } from "#resources/servicepools.ts";
import type { Service, ServicePort } from "#resources/types.gen.ts";
import type { Change } from "#store/store.ts";

const BUCKET = "core/services";

const keyOf = (service: Service): string =>
  `${BUCKET}/${service.metadata?.namespace}/${service.metadata?.name}`;

class ServiceAddresses implements Plugin {
  readonly name = "ServiceAddresses";
  readonly #core: Core;
  readonly #ranges: readonly AddressRange[];
  readonly #ports: PortRange;

  constructor(core: Core) {
    const { settings, random } = core;
    this.#core = core;
    this.#ranges = settings.serviceCidrs.map((cidr) => new AddressRange(cidr, random));
    this.#ports = new PortRange(settings.nodePorts, random);
  }

  #rangeOf(family: string): AddressRange | undefined {
    return this.#ranges.find((range) => range.family === family);
  }

  #releaseIp(ip: string, owner: string): void {
    for (const range of this.#ranges) range.release(ip, owner);
  }

  #release(before: Service, after: Service | undefined, owner: string): void {
    const kept = after === undefined ? { ips: [], ports: [] } : heldBy(after);
    const { ips, ports: held } = heldBy(before);
    for (const ip of ips) if (!kept.ips.includes(ip)) this.#releaseIp(ip, owner);
    for (const port of held) if (!kept.ports.includes(port)) this.#ports.release(port, owner);
  }

  #onChange({ item, previous, type }: Change): void {
    const after = type === "delete" ? undefined : peek<Service>(item);
    if (previous !== undefined) this.#release(peek<Service>(previous), after, item.key);
    // Another server of the same datastore may have given it out.
    if (after !== undefined) this.#adopt(after, item.key);
  }

  /** Two holders of one address are told, not fought over. */
  #adopt(service: Service, owner: string): void {
    const { ips, ports } = heldBy(service);
    const isHeld = (ip: string): boolean => this.#rangeOf(familyOf(ip))?.hold(ip, owner) ?? true;
    const lost = [
      ...ips.filter((ip) => !isHeld(ip)),
      ...ports.filter((port) => !this.#ports.hold(port, owner)),
    ];
    if (lost.length === 0) return;
    const held = lost.join(",");
    this.#core.log.warn("a Service holds what it cannot have", { service: owner, held });
  }

  #takeIps(service: Service, old: Service | undefined, undo: Array<() => void>): Cause[] {
    const { spec } = service;
    if (spec === undefined || !needsAddress(spec) || isHeadless(spec)) return [];
    const owner = keyOf(service);
    const held = old === undefined ? [] : heldBy(old).ips;
    const ips = [...(spec.clusterIPs ?? [])];
    for (const [index, family] of (spec.ipFamilies ?? []).entries()) {
      const range = this.#rangeOf(family);
      const asked = ips[index] ?? "";
      if (range === undefined || (asked !== "" && held.includes(asked))) continue;
      try {
        const ip = asked === "" ? range.next(owner) : asked;
        if (asked !== "") range.take(asked, owner);
        undo.push(() => range.release(ip, owner));
        ips[index] = ip;
      } catch (error) {
        if (!(error instanceof NotAvailable)) throw error;
        const detail = `failed to allocate IP ${asked}: ${error.message}`;
        return [invalid("spec.clusterIPs", [asked], detail)];
      }
    }
    spec.clusterIPs = ips;
    if (ips[0]) spec.clusterIP = ips[0];
    return [];
  }

  #takePort(
    asked: number | undefined,
    field: string,
    owner: string,
    undo: Array<() => void>,
  ): number | Cause {
    try {
      const port = asked ? asked : this.#ports.next(owner);
      if (asked) this.#ports.take(asked, owner);
      undo.push(() => this.#ports.release(port, owner));
      return port;
    } catch (error) {
      if (!(error instanceof NotAvailable)) throw error;
      return invalid(field, asked ?? 0, error.message);
    }
  }

  #takePorts(service: Service, old: Service | undefined, undo: Array<() => void>): Cause[] {
    const { spec } = service;
    if (spec === undefined) return [];
    const owner = keyOf(service);
    const mine = new Set(old === undefined ? [] : heldBy(old).ports);
    const causes: Cause[] = [];
    const byPort = new Map<number, number>();
    const take = (port: ServicePort, index: number): void => {
      const field = `spec.ports[${index}].nodePort`;
      // One number serves a port for both of its protocols.
      const twin = byPort.get(port.port);
      const asked = port.nodePort || twin;
      if (asked && (mine.has(asked) || asked === twin)) {
        port.nodePort = asked;
        return;
      }
      const taken = this.#takePort(asked, field, owner, undo);
      if (typeof taken !== "number") causes.push(taken);
      else {
        port.nodePort = taken;
        mine.add(taken);
        byPort.set(port.port, taken);
      }
    };
    if (needsNodePorts(spec)) (spec.ports ?? []).forEach(take);
    if (needsHealthPort(spec) && !mine.has(spec.healthCheckNodePort ?? 0)) {
      const taken = this.#takePort(
        spec.healthCheckNodePort,
        "spec.healthCheckNodePort",
        owner,
        undo,
      );
      if (typeof taken !== "number") causes.push(taken);
      else spec.healthCheckNodePort = taken;
    }
    return causes;
  }

  /** Sets in place what the Service gets; answers why it cannot have it, with nothing taken. */
  #allocate(service: Service, before: Service | undefined, undo: Array<() => void>): Cause[] {
    if (service.spec === undefined) return [];
    mirrorClusterIp(service.spec, before?.spec);
    if (before !== undefined) keepAllocated(service, before);
    const families = this.#ranges.map((range) => range.family);
    const causes = chooseFamilies(service, before, families);
    const taken: Array<() => void> = [];
    if (causes.length === 0) causes.push(...this.#takeIps(service, before, taken));
    if (causes.length === 0) causes.push(...this.#takePorts(service, before, taken));
    if (causes.length === 0) undo.push(...taken);
    else for (const release of taken) release();
    return causes;
  }

  mutate(attributes: Attributes): void | Promise<void> {
    const { resource, subresource, operation, object, old, undo } = attributes;
    if (resource.bucket !== BUCKET || subresource !== "" || object === undefined) return;
    if (operation !== "CREATE" && operation !== "UPDATE") return;
    const service = object as Service;
    const asked = cloneJson(service.spec);
    const causes = this.#allocate(service, old as Service | undefined, undo);
    if (causes.length === 0) return;
    if (asked !== undefined) service.spec = asked;
    return this.#allocateLater(attributes, service);
  }

  /** What is taken here may have been let go of through another server. */
  async #allocateLater(attributes: Attributes, service: Service): Promise<void> {
    const { resource, old, name, undo } = attributes;
    await this.#core.store.get(keyOf(service));
    const causes = this.#allocate(service, old as Service | undefined, undo);
    if (causes.length > 0) throw refuse.invalid(resource.kind, name, causes);
  }

  start(): Promise<() => void> {
    const { store, log } = this.#core;
    return followChanges({
      ...{ store, log, prefix: `${BUCKET}/` },
      onChanges: (changes) => {
        for (const change of changes) this.#onChange(change);
      },
    });
  }
}

export const serviceAddresses: MakePlugin = (core) => new ServiceAddresses(core);
