/**
 * Where questions about other names go: the machine's resolvers, and what a ConfigMap says. Pure.
 */
import type { ConfigMap } from "#resources/types.gen.ts";

export interface Upstream {
  address: string;
  port: number;
}

export interface Forwarding {
  upstreams: readonly Upstream[];
  /** By domain: names in it are asked of these. */
  stubs: ReadonlyMap<string, readonly Upstream[]>;
  /** Names with fixed addresses. */
  hosts: ReadonlyMap<string, readonly string[]>;
}

const DNS_PORT = 53;
/** resolv.conf(5): MAXNS. */
const NAMESERVERS_MAX = 3;

/** `nameserver` lines of resolv.conf(5), without ourselves. */
export function parseResolvConf(text: string, own: readonly string[]): Upstream[] {
  const found: Upstream[] = [];
  for (const line of text.split("\n")) {
    const [word, address] = line.trim().split(/\s+/);
    if (word !== "nameserver" || address === undefined || own.includes(address)) continue;
    found.push({ address, port: DNS_PORT });
  }
  return found.slice(0, NAMESERVERS_MAX);
}

/** `1.1.1.1`, `1.1.1.1:5353`, `fd00::1`, `[fd00::1]:5353`. */
function upstream(text: string): Upstream | undefined {
  const [, bracketed, port] = /^\[(.+)\](?::(\d+))?$/.exec(text) ?? [];
  if (bracketed !== undefined) return { address: bracketed, port: Number(port ?? DNS_PORT) };
  if (text.split(":").length > 2) return { address: text, port: DNS_PORT };
  const [address = "", number] = text.split(":");
  return /^[0-9.]+$/.test(address) ? { address, port: Number(number ?? DNS_PORT) } : undefined;
}

function list(value: unknown): Upstream[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((text) => (typeof text === "string" ? (upstream(text) ?? []) : []));
}

function json(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** `ADDRESS NAME…` lines as in /etc/hosts. */
function hostsOf(text: string): Map<string, string[]> {
  const hosts = new Map<string, string[]>();
  for (const line of text.split("\n")) {
    const [address = "", ...names] = (line.split("#", 1)[0] ?? "").trim().split(/\s+/);
    if (!/^[0-9a-fA-F.:]+$/.test(address)) continue;
    for (const name of names) {
      const key = name.toLowerCase().replace(/\.$/, "");
      hosts.set(key, [...(hosts.get(key) ?? []), address]);
    }
  }
  return hosts;
}

/**
 * The ConfigMap `kube-system/kube-dns`, in the words of Kubernetes ("Customizing DNS Service"):
 * `upstreamNameservers` and `stubDomains` as JSON, and `hosts` as /etc/hosts. Broken parts are left
 * out.
 */
export function planForwarding(
  machine: readonly Upstream[],
  config: ConfigMap | undefined,
): Forwarding {
  const given = list(json(config?.data?.["upstreamNameservers"]));
  const stubs = new Map<string, Upstream[]>();
  const domains = json(config?.data?.["stubDomains"]);
  if (typeof domains === "object" && domains !== null) {
    for (const [domain, servers] of Object.entries(domains)) {
      const upstreams = list(servers);
      if (upstreams.length > 0) stubs.set(domain.toLowerCase().replace(/\.$/, ""), upstreams);
    }
  }
  return {
    upstreams: given.length > 0 ? given : machine,
    stubs,
    hosts: hostsOf(config?.data?.["hosts"] ?? ""),
  };
}

/** The servers to ask for a name: those of the longest stub domain, else all others. */
export function upstreamsFor(name: string, forwarding: Forwarding): readonly Upstream[] {
  if (forwarding.stubs.size === 0) return forwarding.upstreams;
  for (let rest = name; rest !== ""; ) {
    const stub = forwarding.stubs.get(rest);
    if (stub !== undefined) return stub;
    const dot = rest.indexOf(".");
    rest = dot < 0 ? "" : rest.slice(dot + 1);
  }
  return forwarding.upstreams;
}
