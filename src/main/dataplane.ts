/**
 * What a node does for traffic: routes, Services, policies, DNS; all packet rules through one
 * writer.
 */
import { markOn } from "#agents/ingress/agent.ts";
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
import type { Family } from "#base/cidr.ts";
import { messageOf } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { instanceOf } from "./instance.ts";
import { everyAddress } from "./machine.ts";
import type { NodeParts } from "./parts.ts";
import type { NodeSettings } from "./settings.ts";
import { openThread } from "./traffic/open.ts";
import { startThread } from "./traffic/thread.ts";
import {
  startTraffic,
  type Traffic,
  type TrafficAround,
  type TrafficSettings,
} from "./traffic/traffic.ts";

/** Who writes rules with these settings, in the order of their hooks. */
const ownersOf = ({ disable }: NodeSettings): string[] => [
  "policy",
  ...(disable.includes("dns") ? [] : ["dns"]),
  ...(disable.includes("proxy") ? [] : ["proxy"]),
  "network",
];

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

/** DNS and Ingress; on a thread of their own where the API is in this process. */
function startNodeTraffic(
  parts: NodeParts,
  around: Pick<TrafficAround, "objects" | "writers">,
): Traffic {
  const { settings, client, caches, clock, random, log, nodeName, cluster, apiPort } = parts;
  const { httpPort, tlsPort, accessLog, disable, logLevel } = settings;
  const listens = { host: everyAddress(), httpPort, tlsPort };
  const dns = {
    address: cluster.clusterDns,
    domain: cluster.clusterDomain,
    cidrs: ownCidrs(cluster),
  };
  const ownSettings: TrafficSettings = {
    ...{ nodeName, logLevel },
    ...(!disable.includes("dns") && { dns }),
    ...(!disable.includes("ingress") && {
      ingress: { ...listens, ...(accessLog !== undefined && { accessLog }) },
    }),
  };
  const mark = markOn(client, nodeName);
  const all = { ...around, run: runProcess, caches, mark, clock, random, log };
  return apiPort === undefined
    ? startTraffic(ownSettings, all)
    : startThread(ownSettings, all, openThread);
}

/** What others ask of the data plane. */
export interface DataPlane {
  proxy: ProxyAgent | undefined;
  traffic: Traffic;
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
  return { proxy, traffic: startNodeTraffic(parts, { objects, writers }) };
}
