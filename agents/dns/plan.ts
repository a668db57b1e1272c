/**
 * The names of the cluster domain (Kubernetes DNS-based service discovery, version 1.1.0). Pure:
 * what a name means is looked up in a view of the caches, nothing is kept.
 */
import type { DnsRecord } from "#agents/dns/wire.ts";
import { RCODE, TYPE } from "#agents/dns/wire.ts";
import type { Endpoint, EndpointSlice, Service } from "#resources/types.gen.ts";

/** What the caches know. Names are lower case. */
export interface View {
  service(namespace: string, name: string): Service | undefined;
  /** Slices of a Service. */
  slices(namespace: string, name: string): readonly EndpointSlice[];
  hasNamespace(name: string): boolean;
  /** The Service with this cluster IP. */
  serviceAt(ip: string): Service | undefined;
  /** Slices that have this address. */
  slicesAt(ip: string): readonly EndpointSlice[];
}

export interface ZoneConfig {
  /** `cluster.local`. */
  domain: string;
  /** Where this server answers: the address of the zone's name server. */
  addresses: readonly string[];
}

export interface Meaning {
  rcode: number;
  answers: readonly DnsRecord[];
  additionals?: readonly DnsRecord[];
  /** A name outside of the zone that the last answer points to. */
  alias?: string;
}

/** Seconds. Short, because endpoints come and go; stub resolvers in pods ask every time. */
const TTL = 5;
const SCHEMA_VERSION = "1.1.0";

const NOT_THERE: Meaning = { rcode: RCODE.NXDOMAIN, answers: [] };
/** The name is there, but has nothing of this type. */
const NOTHING: Meaning = { rcode: RCODE.NOERROR, answers: [] };

const wants = (type: number, name: keyof typeof TYPE): boolean =>
  type === TYPE[name] || type === TYPE.ANY;

function addresses(name: string, ips: readonly string[], type: number): DnsRecord[] {
  return [...new Set(ips)].flatMap((data): DnsRecord[] => {
    const kind = data.includes(":") ? ("AAAA" as const) : ("A" as const);
    return wants(type, kind) ? [{ name, ttl: TTL, type: kind, data }] : [];
  });
}

/** Answers where there are any, else: the name is there. */
const found = (answers: readonly DnsRecord[], additionals: readonly DnsRecord[] = []): Meaning => ({
  rcode: RCODE.NOERROR,
  answers,
  additionals,
});

export function soa(config: ZoneConfig): DnsRecord {
  const { domain } = config;
  return {
    name: domain,
    ttl: TTL,
    type: "SOA",
    data: {
      mname: `ns.dns.${domain}`,
      rname: `hostmaster.${domain}`,
      serial: 1,
      refresh: 7_200,
      retry: 1_800,
      expire: 86_400,
      minimum: TTL,
    },
  };
}

/** The name below the domain, or undefined outside of it. */
export function inside(name: string, domain: string): string | undefined {
  if (name === domain) return "";
  return name.endsWith(`.${domain}`) ? name.slice(0, -domain.length - 1) : undefined;
}

const isReady = (endpoint: Endpoint): boolean => endpoint.conditions?.ready !== false;
const isHeadless = (service: Service): boolean => service.spec?.clusterIP === "None";

function clusterIpsOf(service: Service): string[] {
  const { clusterIPs, clusterIP } = service.spec ?? {};
  const ips = clusterIPs ?? (clusterIP === undefined ? [] : [clusterIP]);
  return ips.filter((ip) => ip !== "" && ip !== "None");
}

/** An endpoint's own label: its hostname, else its address with dashes. */
function labelOf(endpoint: Endpoint): string {
  return (endpoint.hostname ?? endpoint.addresses[0]?.replace(/[.:]/g, "-") ?? "").toLowerCase();
}

interface Backend {
  label: string;
  ip: string;
  slice: EndpointSlice;
}

function backendsOf(slices: readonly EndpointSlice[]): Backend[] {
  return slices.flatMap((slice) =>
    (slice.endpoints ?? []).filter(isReady).flatMap((endpoint) => {
      const ip = endpoint.addresses[0];
      return ip === undefined ? [] : [{ label: labelOf(endpoint), ip, slice }];
    }),
  );
}

export class Zone {
  readonly #config: ZoneConfig;
  readonly #view: View;

  constructor(config: ZoneConfig, view: View) {
    this.#config = config;
    this.#view = view;
  }

  /** What a name means; undefined where it is not ours to say. */
  lookup(name: string, type: number): Meaning | undefined {
    const below = inside(name, this.#config.domain);
    if (below !== undefined) return this.#below(name, below, type);
    const ip = reverseAddress(name);
    return ip === undefined ? undefined : this.#reverse(name, ip, type);
  }

  #below(name: string, below: string, type: number): Meaning {
    if (below === "") return this.#apex(name, type);
    const labels = below.split(".").reverse();
    const [kind, namespace, ...rest] = labels;
    if (kind === "svc") return this.#services(name, namespace, rest, type);
    if (kind === "pod") return this.#pods(name, namespace, rest, type);
    if (below === "dns-version") {
      const version: DnsRecord = { name, ttl: TTL, type: "TXT", data: SCHEMA_VERSION };
      return found(wants(type, "TXT") ? [version] : []);
    }
    if (below === "ns.dns") return found(addresses(name, this.#config.addresses, type));
    return below === "dns" ? NOTHING : NOT_THERE;
  }

  #apex(name: string, type: number): Meaning {
    const { domain } = this.#config;
    const answers: DnsRecord[] = [];
    if (wants(type, "SOA")) answers.push(soa(this.#config));
    if (wants(type, "NS")) answers.push({ name, ttl: TTL, type: "NS", data: `ns.dns.${domain}` });
    return found(answers);
  }

  #services(name: string, namespace: string | undefined, rest: string[], type: number): Meaning {
    if (namespace === undefined) return NOTHING;
    const [serviceName, ...more] = rest;
    if (serviceName === undefined) {
      return this.#view.hasNamespace(namespace) ? NOTHING : NOT_THERE;
    }
    const service = this.#view.service(namespace, serviceName);
    if (service === undefined) return NOT_THERE;
    const { type: serviceType, externalName = "" } = service.spec ?? {};
    if (serviceType === "ExternalName") {
      return more.length > 0 ? NOT_THERE : externalMeaning(name, externalName, type);
    }
    const backends = backendsOf(this.#view.slices(namespace, serviceName));
    if (more.length === 0) return serviceMeaning(name, service, backends, type);
    const base = `${serviceName}.${namespace}.svc.${this.#config.domain}`;
    const [first = "", second] = more;
    if (first.startsWith("_")) return portMeaning(name, base, service, backends, more, type);
    if (second !== undefined) return NOT_THERE;
    const own = backends.filter(({ label }) => label === first).map(({ ip }) => ip);
    return own.length === 0 ? NOT_THERE : found(addresses(name, own, type));
  }

  /**
   * `10-42-0-7.default.pod`: any address says itself (deprecated upstream, but part of the schema).
   */
  #pods(name: string, namespace: string | undefined, rest: string[], type: number): Meaning {
    if (namespace === undefined) return NOTHING;
    if (!this.#view.hasNamespace(namespace)) return NOT_THERE;
    const [dashed, ...more] = rest;
    if (dashed === undefined) return NOTHING;
    if (more.length > 0) return NOT_THERE;
    const ip = dashedAddress(dashed);
    return ip === undefined ? NOT_THERE : found(addresses(name, [ip], type));
  }

  #reverse(name: string, ip: string, type: number): Meaning | undefined {
    const { domain } = this.#config;
    const pointer = (target: string): DnsRecord => ({ name, ttl: TTL, type: "PTR", data: target });
    const base = (object: { metadata?: { name?: string; namespace?: string } }, own?: string) =>
      `${own ?? object.metadata?.name}.${object.metadata?.namespace}.svc.${domain}`;
    const service = this.#view.serviceAt(ip);
    if (service !== undefined) return found(wants(type, "PTR") ? [pointer(base(service))] : []);
    const pointers: DnsRecord[] = [];
    for (const slice of this.#view.slicesAt(ip)) {
      const owner = slice.metadata?.labels?.["kubernetes.io/service-name"];
      const target = owner && this.#view.service(slice.metadata?.namespace ?? "", owner);
      if (!owner || !target || !isHeadless(target)) continue;
      for (const backend of backendsOf([slice])) {
        if (backend.ip === ip) pointers.push(pointer(`${backend.label}.${base(slice, owner)}`));
      }
    }
    return pointers.length === 0 ? undefined : found(wants(type, "PTR") ? pointers : []);
  }
}

function externalMeaning(name: string, target: string, type: number): Meaning {
  if (/^[0-9.]+$/.test(target) || target.includes(":")) {
    return found(addresses(name, [target], type));
  }
  const data = target.replace(/\.$/, "").toLowerCase();
  const answers: DnsRecord[] = [{ name, ttl: TTL, type: "CNAME", data }];
  return type === TYPE.CNAME || data === "" ? found(answers) : { ...found(answers), alias: data };
}

function serviceMeaning(
  name: string,
  service: Service,
  backends: readonly Backend[],
  type: number,
): Meaning {
  if (!isHeadless(service)) return found(addresses(name, clusterIpsOf(service), type));
  if (backends.length === 0) return NOT_THERE;
  return found(
    addresses(
      name,
      backends.map(({ ip }) => ip),
      type,
    ),
  );
}

/** `_port._proto` of a Service, and `_proto` alone, which has nothing of its own. */
function portMeaning(
  name: string,
  base: string,
  service: Service,
  backends: readonly Backend[],
  labels: readonly string[],
  type: number,
): Meaning {
  const [proto = "", port, ...more] = labels;
  const ports = (service.spec?.ports ?? []).filter(
    (one) => `_${(one.protocol ?? "TCP").toLowerCase()}` === proto && one.name,
  );
  if (ports.length === 0 || more.length > 0) return NOT_THERE;
  if (port === undefined) return NOTHING;
  const own = ports.find((one) => `_${one.name}`.toLowerCase() === port);
  if (own === undefined) return NOT_THERE;
  const srv = (number: number, target: string): DnsRecord => ({
    name,
    ttl: TTL,
    type: "SRV",
    data: { priority: 0, weight: 100, port: number, target },
  });
  if (!isHeadless(service)) {
    if (!wants(type, "SRV")) return NOTHING;
    return found([srv(own.port, base)], addresses(base, clusterIpsOf(service), TYPE.ANY));
  }
  const there = backends.flatMap(({ label, ip, slice }) => {
    const number = slice.ports?.find((one) => one.name === own.name)?.port;
    return number === undefined ? [] : [{ target: `${label}.${base}`, ip, number }];
  });
  if (there.length === 0) return NOT_THERE;
  if (!wants(type, "SRV")) return NOTHING;
  return found(
    there.map(({ number, target }) => srv(number, target)),
    there.flatMap(({ target, ip }) => addresses(target, [ip], TYPE.ANY)),
  );
}

function isIpv4(text: string): boolean {
  const parts = text.split(".");
  return parts.length === 4 && parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256);
}

function dashedAddress(label: string): string | undefined {
  const v4 = label.replaceAll("-", ".");
  if (isIpv4(v4)) return v4;
  const v6 = label.replaceAll("-", ":");
  const isV6 = /^[0-9a-f:]+$/.test(v6) && (v6.split(":").length === 8 || v6.includes("::"));
  return isV6 && v6.split("::").length <= 2 && v6.split(":").length <= 8 ? v6 : undefined;
}

/** The address of a name below `in-addr.arpa` or `ip6.arpa`; IPv6 in the shortest form. */
export function reverseAddress(name: string): string | undefined {
  if (name.endsWith(".in-addr.arpa")) {
    const ip = name.slice(0, -".in-addr.arpa".length).split(".").reverse().join(".");
    return isIpv4(ip) ? ip : undefined;
  }
  if (!name.endsWith(".ip6.arpa")) return undefined;
  const nibbles = name.slice(0, -".ip6.arpa".length).split(".").reverse();
  if (nibbles.length !== 32 || !nibbles.every((one) => /^[0-9a-f]$/.test(one))) return undefined;
  const groups = Array.from({ length: 8 }, (_, i) => nibbles.slice(i * 4, i * 4 + 4).join(""));
  return shortIpv6(groups.map((group) => group.replace(/^0+(?=.)/, "")));
}

/** IPv6 addresses in the one form that they are compared in. */
export function canonicalAddress(ip: string): string {
  if (!ip.includes(":") || ip.includes(".")) return ip;
  const [head = "", tail] = ip.toLowerCase().split("::");
  const parse = (part: string) => (part === "" ? [] : part.split(":"));
  const front = parse(head);
  const back = tail === undefined ? [] : parse(tail);
  const zeros = new Array<string>(Math.max(0, 8 - front.length - back.length)).fill("0");
  return shortIpv6([...front, ...zeros, ...back].map((group) => group.replace(/^0+(?=.)/, "")));
}

/** RFC 5952: the first longest run of zero groups becomes `::`. */
function shortIpv6(groups: readonly string[]): string {
  let best = { at: -1, length: 1 };
  for (let at = 0; at < groups.length; at++) {
    let length = 0;
    while (groups[at + length] === "0") length++;
    if (length > best.length) best = { at, length };
  }
  if (best.at < 0) return groups.join(":");
  const head = groups.slice(0, best.at).join(":");
  return `${head}::${groups.slice(best.at + best.length).join(":")}`;
}
