/** The text of /etc/hosts and /etc/resolv.conf of a pod, and its host name: pure. */
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** Linux: 64 with the final zero. */
const HOSTNAME_MAX = 63;

export interface ClusterDns {
  servers: readonly string[];
  domain: string;
}

/** The pod's host name, cut as Kubernetes cuts it. */
export function hostnameOf(pod: Stored<Pod>): string {
  const { hostname, hostnameOverride } = pod.spec ?? {};
  const name = hostnameOverride || hostname || pod.metadata.name;
  return name.slice(0, HOSTNAME_MAX).replace(/[-.]+$/, "");
}

/** `web-0.web.shop.svc.cluster.local`, where the pod has a subdomain. */
export function fqdnOf(pod: Stored<Pod>, domain: string): string | undefined {
  const subdomain = pod.spec?.subdomain;
  if (!subdomain || pod.spec?.hostnameOverride) return undefined;
  return `${hostnameOf(pod)}.${subdomain}.${pod.metadata.namespace}.svc.${domain}`;
}

/** Rejects text that would add a word or a line to the batch. */
const isWord = (text: string): boolean => /^[!-~]+$/.test(text);

function aliasLines(pod: Stored<Pod>): string {
  const aliases = pod.spec?.hostAliases ?? [];
  if (aliases.length === 0) return "";
  const rows = aliases.map(
    ({ ip, hostnames = [] }) => `${[ip, ...hostnames].filter(isWord).join("\t")}\n`,
  );
  return `\n# Entries added by HostAliases.\n${rows.join("")}`;
}

/** Content of the pod's /etc/hosts. `nodeHosts` is the node's file, for pods on its network. */
export function hostsFile(
  pod: Stored<Pod>,
  ips: readonly string[],
  domain: string,
  nodeHosts: string,
): string {
  if (pod.spec?.hostNetwork === true) {
    return `# Kubernetes-managed hosts file (host network).\n${nodeHosts}${aliasLines(pod)}`;
  }
  const name = hostnameOf(pod);
  const full = fqdnOf(pod, domain);
  const names = full === undefined ? name : `${full}\t${name}`;
  return [
    "# Kubernetes-managed hosts file.",
    "127.0.0.1\tlocalhost",
    "::1\tlocalhost ip6-localhost ip6-loopback",
    "fe00::0\tip6-localnet",
    "fe00::0\tip6-mcastprefix",
    "fe00::1\tip6-allnodes",
    "fe00::2\tip6-allrouters",
    ...ips.map((ip) => `${ip}\t${names}`),
    aliasLines(pod),
  ].join("\n");
}

interface Resolver {
  servers: string[];
  searches: string[];
  options: string[];
}

function parseResolver(text: string): Resolver {
  const out: Resolver = { servers: [], searches: [], options: [] };
  for (const line of text.split("\n")) {
    const [word, ...rest] = line.trim().split(/\s+/);
    if (word === "nameserver" && rest[0]) out.servers.push(rest[0]);
    else if (word === "search" || word === "domain") out.searches = rest;
    else if (word === "options") out.options = rest;
  }
  return out;
}

const MAX_SERVERS = 3;
const MAX_SEARCHES = 32;

function base(pod: Stored<Pod>, dns: ClusterDns, node: Resolver): Resolver {
  const { dnsPolicy = "ClusterFirst", hostNetwork } = pod.spec ?? {};
  if (dnsPolicy === "None") return { servers: [], searches: [], options: [] };
  const cluster =
    dnsPolicy === "ClusterFirstWithHostNet" ||
    (dnsPolicy === "ClusterFirst" && hostNetwork !== true && dns.servers.length > 0);
  if (!cluster) return node;
  const zones = [`${pod.metadata.namespace}.svc.${dns.domain}`, `svc.${dns.domain}`, dns.domain];
  return {
    servers: [...dns.servers],
    searches: [...zones, ...node.searches.filter((name) => !zones.includes(name))],
    options: ["ndots:5"],
  };
}

/**
 * Content of /etc/resolv.conf.
 * https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/
 */
export function resolverFile(pod: Stored<Pod>, dns: ClusterDns, nodeFile: string): string {
  const out = base(pod, dns, parseResolver(nodeFile));
  const config = pod.spec?.dnsConfig;
  const unique = (list: readonly string[]) => [...new Set(list)].filter(isWord);
  const servers = unique([...out.servers, ...(config?.nameservers ?? [])]).slice(0, MAX_SERVERS);
  const searches = unique([...out.searches, ...(config?.searches ?? [])]).slice(0, MAX_SEARCHES);
  const options = new Map(out.options.map((text) => [text.split(":", 1)[0] ?? text, text]));
  for (const { name, value } of config?.options ?? []) {
    const text = value === undefined ? (name ?? "") : `${name}:${value}`;
    if (name && isWord(text)) options.set(name, text);
  }
  const rows = [
    ...(searches.length > 0 ? [`search ${searches.join(" ")}`] : []),
    ...servers.map((server) => `nameserver ${server}`),
    ...(options.size > 0 ? [`options ${[...options.values()].join(" ")}`] : []),
  ];
  return `${rows.join("\n")}\n`;
}
