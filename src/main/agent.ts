/** `bramble agent`: a node that joins a cluster and serves it. */
import { X509Certificate } from "node:crypto";
import { join } from "node:path";
import { certificatePath, keepCertificate, keyPath } from "#agents/join/certificate.ts";
import { openCredentials } from "#agents/join/credentials.ts";
import { type NodeIdentity, openIdentity } from "#agents/join/identity.ts";
import {
  type ClusterInfo,
  joinCluster,
  loadCluster,
  RetryLater,
  saveCluster,
} from "#agents/join/join.ts";
import { parseToken } from "#agents/join/token.ts";
import { createMemory } from "#agents/offline/memory.ts";
import { recallingFetch } from "#agents/offline/recall.ts";
import { openVault } from "#agents/offline/vault.ts";
import { dialTunnel } from "#agents/tunnel/dial.ts";
import { type FleetOptions, openFleet, type TunnelFleet } from "#agents/tunnel/fleet.ts";
import { tunnelTargets } from "#agents/tunnel/plan.ts";
import { backoffMs } from "#base/backoff.ts";
import { sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { readText } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { TrueClock } from "#base/truetime.ts";
import { createCaches } from "#client/cache.ts";
import { createClient } from "#client/http.ts";
import { lockDataDir } from "#store/lock.ts";
import { openTrueClock } from "./clock.ts";
import type { Surroundings } from "./control.ts";
import { aborted, Ends, ending } from "./ends.ts";
import { makeDataDir } from "./instance.ts";
import { type NamedServer, saveKubeconfig } from "./kubeconfig.ts";
import { createLocator, type Locator } from "./locator.ts";
import { machineName } from "./machine.ts";
import { startNode } from "./node.ts";
import { waitForAdoption } from "./pair.ts";
import { checkMachine } from "./preflight.ts";
import { followPublished } from "./published.ts";
import { connectRemote, type Remote } from "./remote.ts";
import type { AgentSettings } from "./settings.ts";
import { ownFootprint, trimWhenQuiet } from "./trim.ts";
import { followUpgrades } from "./upgrade/follow.ts";
import { skewOf } from "./upgrade/plan.ts";
import { version } from "./version.ts";

type Around = Surroundings & { clock: TrueClock };

/** What a device is before it belongs to a cluster. */
interface Device {
  dir: string;
  nodeName: string;
  identity: NodeIdentity;
  locator: Locator;
}

/** Joins, trying again while it can get better by itself. Undefined when asked to end. */
async function joinPatiently(
  text: string,
  device: Device,
  around: Around,
): Promise<ClusterInfo | undefined> {
  const { clock, log, signal } = around;
  const token = parseToken(text);
  let told = "";
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const server = await device.locator.find(token.caSha256);
      const nowMs = clock.now();
      const { info, serverMs } = await joinCluster({ server, token, nowMs, version, ...device });
      clock.correct(serverMs);
      saveCluster(device.dir, info);
      log.info("joined", { server, node: device.nodeName });
      return info;
    } catch (error) {
      if (!(error instanceof RetryLater)) throw error;
      const message = messageOf(error);
      if (message !== told) log.warn(`${message}; trying again`);
      told = message;
      const waitMs = backoffMs(failures, limits.relistBackoffMsMin, limits.joinAgainMs);
      await sleep(clock, waitMs, signal);
    }
  }
  return undefined;
}

/** The cluster that this device belongs to, joined now where it does not yet. */
async function belong(
  settings: AgentSettings,
  device: Device,
  around: Around,
): Promise<ClusterInfo | undefined> {
  const known = loadCluster(device.dir);
  if (known !== undefined) return known;
  around.service.ready("looking for a cluster");
  if (settings.token !== undefined) return joinPatiently(settings.token, device, around);
  const discovers = !settings.disable.includes("discovery");
  const parcel = await waitForAdoption(device.nodeName, discovers, around);
  if (parcel === undefined) return undefined;
  device.locator.add(parcel.servers);
  return joinPatiently(parcel.token, device, around);
}

const fingerprint = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();

/** Of the servers that the cluster publishes, each with the name of its host. */
const namedServers = (urls: readonly string[]): NamedServer[] =>
  urls.map((server) => ({ name: new URL(server).hostname, server }));

/** Says once of each version of the server that this one does not go with it. */
function skewTeller(log: Log): (serverVersion: string) => void {
  let last = "";
  return (serverVersion) => {
    const skewed = serverVersion === last ? undefined : skewOf(serverVersion, version);
    last = serverVersion;
    if (skewed !== undefined) log.error(`versions that do not go together: ${skewed}`);
  };
}

/** The way to the server, wherever it is; and who wants to know when it is lost. */
function reachServer(cluster: ClusterInfo, device: Device, { log, clock }: Around) {
  const { caPem } = cluster;
  const { dir, locator, identity } = device;
  const server = () => locator.url();
  const certificate = () => readText(certificatePath(dir));
  const credentials = openCredentials({ identity, caPem, certificate, clock });
  let tunnels: TunnelFleet | undefined;
  let toldMs = Number.NEGATIVE_INFINITY;
  const onUnknown = (): void => {
    if (clock.monotonic() - toldMs < limits.unknownToldMs) return;
    toldMs = clock.monotonic();
    log.error(
      `the cluster does not know the node ${device.nodeName}: it was removed, or the server
      goes on from an older backup; to join again: stop this agent, remove ${dir}/cluster.json, and
      start it with a new token`.replace(/\s+/g, " "),
    );
  };
  const remote = connectRemote({ server, credentials, clock, onUnknown });
  /** For the next start, and for programs on the node, in its name. */
  const remember = (): void => {
    const servers = [...new Set([server(), ...locator.published(), ...cluster.servers])];
    saveCluster(dir, { ...cluster, servers: servers.slice(0, limits.serversMax) });
    const user = { "client-certificate": certificatePath(dir), "client-key": keyPath(dir) };
    const others = namedServers(locator.published());
    saveKubeconfig(join(dir, "kubeconfig"), { server: server(), caPem, user, others });
  };
  const changed = (): void => {
    remember();
    tunnels?.look();
  };
  locator.pin({
    caPem,
    caSha256: fingerprint(caPem),
    heardMs: () => remote.heardMs(),
    onMoved: changed,
    onLost() {
      remote.drop();
      tunnels?.lost(server());
    },
    onVersion: skewTeller(log),
  });
  remember();
  return {
    remote,
    credentials,
    server,
    publish(urls: readonly string[]) {
      locator.publish(urls);
      changed();
    },
    dial(parts: Pick<FleetOptions, "handler" | "signal">) {
      tunnels = openFleet({
        ...{ ...parts, credentials, clock, log, dial: dialTunnel },
        targets: () => tunnelTargets(server(), locator.published()),
        onDoubt: (url) => url === server() && locator.doubt(),
      });
    },
  };
}

/** What the node knows without its server: on its disk, sealed with its own key. */
function openMemory(settings: AgentSettings, device: Device, remote: Remote, around: Around) {
  const { clock, random } = around;
  const log = around.log.part("offline");
  const vault = openVault({
    dir: join(settings.dataDir, "node", "kept"),
    secret: device.identity.secret,
    random,
    log,
    entriesMax: limits.vaultEntriesMax,
  });
  const fetch = recallingFetch({ fetch: remote.fetch, vault, clock, log });
  return { fetch, memory: createMemory({ vault, clock, log }) };
}

async function serve(
  settings: AgentSettings,
  cluster: ClusterInfo,
  device: Device,
  around: Around,
  ends: Ends,
): Promise<void> {
  const { clock, random, log, signal } = around;
  const { nodeName } = device;
  const reached = reachServer(cluster, device, around);
  const kept = openMemory(settings, device, reached.remote, around);
  const memory = ends.keep(kept.memory, (each) => each.close());
  const client = createClient(kept.fetch);
  const caches = createCaches({ client, clock, log: log.part("cache"), memory });
  ends.keep(caches, (each) => each.stop());
  const parts = { settings, nodeName, cluster, client, caches, clock, random, log };
  // Logs and exec work as soon as the node does; a server that is away is no reason to wait.
  const node = ends.keep(await startNode(parts), (each) => each.stop());
  const { dataDir } = settings;
  followUpgrades({ client, caches, nodeName, dataDir, log, server: reached });
  const { dir, identity } = device;
  const { keyPem } = identity;
  void keepCertificate({ dir, nodeName, keyPem, client, clock, random, log, signal });
  reached.dial({ handler: node.handler, signal });
  followPublished(caches, reached.publish);
  trimWhenQuiet({ clock, log, signal, footprint: ownFootprint });
  around.service.ready(`a node of the cluster at ${reached.server()}`);
  await aborted(signal);
  await ending(around, () => node.kubelet.shutdown(settings.shutdownGraceSeconds * 1_000));
}

/** Runs until the signal aborts. */
export async function runAgent(settings: AgentSettings, given: Surroundings): Promise<void> {
  await checkMachine(settings);
  const nodeName = settings.nodeName ?? machineName();
  const dir = join(settings.dataDir, "node");
  const ends = new Ends();
  try {
    makeDataDir(settings.dataDir);
    ends.keep(lockDataDir(settings.dataDir), (lock) => lock.release());
    const around = { ...given, clock: openTrueClock(settings.dataDir, given) };
    const identity = await openIdentity({ dir, nodeName, clock: around.clock });
    const locator = createLocator({
      given: settings.server,
      known: loadCluster(dir)?.servers ?? [],
      discovers: !settings.disable.includes("discovery"),
      around,
    });
    const device = { dir, nodeName, identity, locator };
    const cluster = await belong(settings, device, around);
    if (cluster !== undefined) await serve(settings, cluster, device, around, ends);
  } finally {
    await ends.all();
  }
}
