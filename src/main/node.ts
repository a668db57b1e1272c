/**
 * The parts of one node, joined: runtime, pod network, kubelet, packet rules. Server and agent both
 * run one.
 */
import { join } from "node:path";
import { createKubelet, type Kubelet } from "#agents/kubelet/agent.ts";
import { createNodeHandler } from "#agents/kubelet/server.ts";
import { createPodNetwork } from "#agents/network/cni.ts";
import { createFlows, type Flows } from "#agents/network/flows.ts";
import { createNerdctl } from "#agents/runtime/nerdctl.ts";
import { createControlGroups } from "#agents/runtime/stats.ts";
import { createVolumes } from "#agents/volumes/agent.ts";
import { keepLocalVolumes } from "#agents/volumes/local.ts";
import { LocalDisk } from "#agents/volumes/localdisk.ts";
import { createObjectSource } from "#agents/volumes/objects.ts";
import type { NodeLink } from "#api/nodes.ts";
import type { Log } from "#base/log.ts";
import { runProcess } from "#base/process.ts";
import { type DataPlane, startDataPlane } from "./dataplane.ts";
import { cgroupRootOf, devicePluginDirOf, instanceOf, runDirOf, saveInstance } from "./instance.ts";
import { bootId, canLowerOomScore, linkMtu, machineCapacity, nodeAddresses } from "./machine.ts";
import type { ClusterNet, NodeParts } from "./parts.ts";
import type { NodeSettings } from "./settings.ts";
import { parseLabels, parseReserved, parseTaints } from "./taints.ts";
import { kubernetesVersion } from "./version.ts";

export interface RunningNode {
  kubelet: Kubelet;
  handler: NodeLink;
  /** Gives memory back that is not of the process's own heap. */
  shrink(): void;
  /** Everything stops; pods, rules and routes stay, unless the machine goes down. */
  stop(): Promise<void>;
}

/** Of each packet, the tunnel's own bytes. */
const VXLAN_BYTES = 50;

/** Bytes of pods' packets: what the link to the other nodes takes, less the tunnel's. */
export function podMtu(settings: NodeSettings, cluster: ClusterNet): number {
  const mtu = linkMtu(nodeAddresses(settings.nodeIp, cluster)[0]);
  return settings.network === "vxlan" ? mtu - VXLAN_BYTES : mtu;
}

/** What programs understand that fetch images through a proxy. */
function pullEnvironment({ pullProxy, pullNoProxy }: NodeSettings): Record<string, string> {
  if (pullProxy === undefined) return {};
  return { HTTP_PROXY: pullProxy, HTTPS_PROXY: pullProxy, NO_PROXY: pullNoProxy.join(",") };
}

export function nodeRuntime(parts: Pick<NodeParts, "settings" | "clock" | "log">) {
  const { settings, clock, log } = parts;
  return createNerdctl({
    run: runProcess,
    binary: settings.nerdctl,
    address: settings.containerdAddress,
    namespace: settings.containerdNamespace,
    dataRoot: join(settings.dataDir, "nerdctl"),
    runDir: runDirOf(settings.dataDir),
    hostsDirs: settings.registryHostsDirs,
    registryConfig: settings.registryConfig,
    pullEnv: pullEnvironment(settings),
    canLowerOomScore: canLowerOomScore(),
    clock,
    log: log.part("runtime"),
  });
}

export function nodeNetwork(
  settings: NodeSettings,
  log: Log,
  running?: { cluster: ClusterNet; flows: Flows },
) {
  return createPodNetwork({
    run: runProcess,
    cniBinDir: settings.cniBinDir,
    dataDir: settings.dataDir,
    instance: instanceOf(settings.dataDir),
    ...(running && {
      ipv6: running.cluster.clusterCidr.includes(":"),
      mtu: podMtu(settings, running.cluster),
      flows: running.flows,
    }),
    log: log.part("network"),
  });
}

/** What this node's owner has set. */
function ownOptions(settings: NodeSettings) {
  return {
    labels: parseLabels(settings.nodeLabels),
    taints: parseTaints(settings.nodeTaints),
    reserved: parseReserved(settings.systemReserved),
    allowedSysctls: settings.allowedUnsafeSysctls,
    ...(settings.podMaxPids > 0 && { pidsLimit: settings.podMaxPids }),
  };
}

export async function startNode(parts: NodeParts): Promise<RunningNode> {
  const { settings, client, caches, clock, random, log, nodeName, cluster } = parts;
  const ending = new AbortController();
  const runtime = nodeRuntime(parts);
  const flows = createFlows({ run: runProcess, clock, log: log.part("network") });
  const network = nodeNetwork(settings, log, { cluster, flows });
  const objects = createObjectSource({ client, clock, log: log.part("volumes") });
  const disk = settings.disable.includes("storage")
    ? undefined
    : new LocalDisk({ run: runProcess, root: join(settings.dataDir, "storage") });
  const volumes = createVolumes({
    client,
    objects,
    clock,
    run: runProcess,
    log: log.part("volumes"),
    dataDir: settings.dataDir,
    images: runtime,
    ...(disk && { disk }),
  });
  let plane: DataPlane | undefined;
  const kubelet = createKubelet({
    drained: async (podUid) => {
      await plane?.proxy?.drained(podUid);
      await plane?.traffic.drained(podUid);
    },
    client,
    caches,
    runtime,
    network,
    volumes,
    groups: createControlGroups(),
    objects,
    clock,
    random,
    log: log.part("kubelet"),
    options: {
      nodeName,
      nodeIps: () => nodeAddresses(settings.nodeIp, cluster),
      dataDir: settings.dataDir,
      bootId: bootId(),
      dns: { servers: cluster.clusterDns.split(","), domain: cluster.clusterDomain },
      cgroupRoot: cgroupRootOf(settings.dataDir),
      capacity: machineCapacity(settings.dataDir),
      ...ownOptions(settings),
      kubeletVersion: kubernetesVersion,
      devicePluginDir: devicePluginDirOf(settings.dataDir),
    },
  });
  saveInstance(settings, cluster, process.pid, log);
  const mtu = podMtu(settings, cluster);
  plane = startDataPlane(parts, { podNetwork: network, flows, objects, mtu }, ending.signal);
  const { traffic } = plane;
  await kubelet.start();
  if (disk !== undefined) {
    const { signal } = ending;
    keepLocalVolumes({ client, caches, clock, disk, nodeName, signal, log: log.part("volumes") });
  }
  return {
    kubelet,
    handler: createNodeHandler({
      kubelet,
      runtime,
      clock,
      log: log.part("kubelet"),
      moreMetrics: () => traffic.metrics(),
    }),
    shrink: () => traffic.shrink(),
    async stop() {
      ending.abort();
      await traffic.stop();
      await kubelet.stop();
    },
  };
}
