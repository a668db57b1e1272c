/**
 * What a node does for traffic: routes, Services, policies, DNS; all packet rules through one
 * writer.
 */
import { createDnsAgent } from "#agents/dns/agent.ts";
import { IngressAgent } from "#agents/ingress/agent.ts";
import { createNetworkAgent } from "#agents/network/agent.ts";
import { type Owed, owedAnswers } from "#agents/network/answers.ts";
import type { PodNetwork } from "#agents/network/cni.ts";
import type { Flows } from "#agents/network/flows.ts";
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { createNftablesWriter } from "#agents/network/nftables.ts";
import type { PacketWriter } from "#agents/network/packets.ts";
import { ownCidrs } from "#agents/network/plan.ts";
import type { TableWriter } from "#agents/network/tables.ts";
import { createPolicyAgent } from "#agents/policy/agent.ts";
import { createProxyAgent, type ProxyAgent } from "#agents/proxy/agent.ts";
import { serveHealthOn } from "#agents/proxy/health.ts";
import type { ObjectSource } from "#agents/volumes/volumes.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { instanceOf } from "./instance.ts";
import { everyAddress } from "./machine.ts";
import type { NodeParts } from "./parts.ts";
import type { NodeSettings } from "./settings.ts";

/** Who writes rules with these settings, in the order of their hooks. */
const ownersOf = ({ disable }: NodeSettings): string[] => [
  "policy",
  ...(disable.includes("dns") ? [] : ["dns"]),
  ...(disable.includes("proxy") ? [] : ["proxy"]),
  "network",
];

export type Family = "IPv4" | "IPv6";

/** The families of the cluster: IPv4, and IPv6 where its ranges name one of it. */
export const familiesOf = (clusterCidr: string): Family[] =>
  clusterCidr.includes(":") ? ["IPv4", "IPv6"] : ["IPv4"];

const forEach = <T>(families: readonly Family[], make: (family: Family) => T) =>
  Object.fromEntries(families.map((family) => [family, make(family)] as const)) as Partial<
    Record<Family, T>
  >;

export const nodePackets = (settings: NodeSettings, log: Log, family: Family): PacketWriter =>
  createIptablesWriter({
    family,
    run: runProcess,
    instance: instanceOf(settings.dataDir),
    owners: ownersOf(settings),
    log: log.part("packets"),
  });

/** For Services where nft maps serve them. */
export const nodeTable = (settings: NodeSettings, log: Log, family: Family): TableWriter =>
  createNftablesWriter({
    run: runProcess,
    instance: instanceOf(settings.dataDir),
    family,
    log: log.part("packets"),
  });

export function nodeDns(
  parts: Pick<NodeParts, "caches" | "clock" | "random" | "log" | "cluster">,
  writers: Partial<Record<Family, PacketWriter>>,
) {
  const { caches, clock, random, log, cluster } = parts;
  return createDnsAgent({
    run: runProcess,
    caches,
    address: cluster.clusterDns,
    domain: cluster.clusterDomain,
    cidrs: ownCidrs(cluster),
    writers,
    clock,
    random,
    log: log.part("dns"),
  });
}

function startIngress(parts: NodeParts, objects: ObjectSource, signal: AbortSignal): IngressAgent {
  const { settings, client, caches, clock, random, log, nodeName } = parts;
  const { httpPort, tlsPort, accessLog } = settings;
  const shared = { client, caches, objects, clock, random, nodeName };
  const ingress = new IngressAgent({
    ...shared,
    host: everyAddress(),
    httpPort,
    tlsPort,
    ...(accessLog !== undefined && { accessLog }),
    log: log.part("ingress"),
  });
  ingress.start(signal);
  return ingress;
}

/** What others ask of the data plane. */
export interface DataPlane {
  proxy: ProxyAgent | undefined;
  ingress: IngressAgent | undefined;
}

/** Of a pod with a network namespace of its own. */
async function owedBy(podNetwork: PodNetwork, podUid: string, log: Log): Promise<Owed> {
  try {
    for (const pod of await podNetwork.attachments()) {
      if (pod.podUid === podUid) return await owedAnswers(runProcess, pod.netnsPath);
    }
  } catch (error) {
    log.warn("a pod ends without a look at its connections", { podUid, error: messageOf(error) });
  }
  return { going: 0, unanswered: 0 };
}

/** Starts everything; it works until the signal aborts, and what is in the kernel stays. */
export function startDataPlane(
  parts: NodeParts,
  around: { podNetwork: PodNetwork; flows: Flows; objects: ObjectSource; mtu: number },
  signal: AbortSignal,
): DataPlane {
  const { settings, caches, clock, log, nodeName, cluster, apiPort, datastore } = parts;
  const { clusterCidr, serviceCidr, clusterDns } = cluster;
  const { podNetwork, flows, objects, mtu } = around;
  const families = familiesOf(clusterCidr);
  const writers = forEach(families, (family) => nodePackets(settings, log, family));
  const shared = { run: runProcess, caches, writers, nodeName, clock };
  const withDns = !settings.disable.includes("dns");
  const dnsAddresses = withDns ? clusterDns.split(",") : [];
  const network = createNetworkAgent({
    ...shared,
    podNetwork,
    clusterCidr,
    serviceCidr,
    mode: settings.network,
    instance: instanceOf(settings.dataDir),
    mtu,
    dnsAddresses,
    ...(apiPort !== undefined && { apiPort }),
    ...(datastore && { datastore }),
    log: log.part("network"),
  });
  network.start(signal);
  const policy = createPolicyAgent({
    ...shared,
    podNetwork,
    dnsAddresses,
    log: log.part("policy"),
  });
  policy.start(signal);
  let proxy: ProxyAgent | undefined;
  if (!settings.disable.includes("proxy")) {
    proxy = createProxyAgent({
      ...shared,
      clusterCidr,
      localAddresses: dnsAddresses,
      tables: forEach(families, (family) => nodeTable(settings, log, family)),
      mode: settings.proxyMode,
      serveHealth: serveHealthOn(settings.nodeIp?.split(",", 1)[0]),
      owed: (podUid) => owedBy(podNetwork, podUid, log),
      flows,
      log: log.part("proxy"),
    });
    proxy.start(signal);
  }
  if (withDns) {
    nodeDns(parts, writers)
      .start(signal)
      .catch((error: unknown) => log.error("DNS does not work", { error: messageOf(error) }));
  }
  const withIngress = !settings.disable.includes("ingress");
  return { proxy, ingress: withIngress ? startIngress(parts, objects, signal) : undefined };
}
