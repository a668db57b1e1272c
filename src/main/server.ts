/**
 * `bramble server`: the control plane with its controllers and scheduler, and a node, in one
 * process.
 */
import { storeToken } from "#agents/join/admit.ts";
import { parseToken } from "#agents/join/token.ts";
import { insist } from "#base/insist.ts";
import { limits } from "#base/limits.ts";
import type { Client } from "#client/client.ts";
import { isConflict, StatusError } from "#client/client.ts";
import { ensureIngressClass } from "#controllers/ingress/class.ts";
import { ensureLocalClass } from "#controllers/localprovisioner/class.ts";
import { services } from "#resources/kinds/service.ts";
import { announceServer } from "./announce.ts";
import { openControlPlane, type Surroundings } from "./control.ts";
import { datastoreServers, isShared } from "./datastore.ts";
import { aborted, Ends, ending } from "./ends.ts";
import { leadWhenElected } from "./leader.ts";
import { machineName, nodeAddress } from "./machine.ts";
import { startNode } from "./node.ts";
import { allowNodeCertificates } from "./nodecertificates.ts";
import { checkMachine } from "./preflight.ts";
import { urlOf } from "./published.ts";
import { followAddress } from "./readdress.ts";
import { followServers } from "./servers.ts";
import { dialOthers } from "./servertunnels.ts";
import type { ServerSettings } from "./settings.ts";
import { ownFootprint, trimWhenQuiet } from "./trim.ts";

/** Another server on the same datastore was faster. */
function unlessConflict(error: unknown): void {
  if (!isConflict(error)) throw error;
}

/** A token that the operator chose is good from the first start on. */
async function offerToken(client: Client, text: string | undefined): Promise<void> {
  if (text === undefined) return;
  const told = { description: "given with --token" };
  await storeToken(client, parseToken(text), told).catch(unlessConflict);
}

/** The Service that programs know the cluster's DNS by; every node answers at its address. */
async function ensureDnsService(client: Client, clusterIPs: string[]): Promise<void> {
  const ref = { namespace: "kube-system", name: "kube-dns" };
  if ((await client.get(services, ref)) !== undefined) return;
  const labels = { "k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS" };
  const port = (name: string, protocol: string) => ({ name, protocol, port: 53, targetPort: 53 });
  const create = client.create(services, {
    apiVersion: "v1",
    kind: "Service",
    metadata: { ...ref, labels },
    spec: {
      clusterIP: clusterIPs[0] ?? "",
      clusterIPs,
      ipFamilyPolicy: clusterIPs.length > 1 ? "RequireDualStack" : "SingleStack",
      ports: [port("dns", "UDP"), port("dns-tcp", "TCP")],
    },
  });
  await create.catch(async (error: unknown) => {
    // The other server's has the address by now.
    if ((await client.get(services, ref)) === undefined) throw error;
  });
}

/** Each is made once; an operator's change stays. */
async function makeFirstObjects(client: Client, settings: ServerSettings): Promise<void> {
  await offerToken(client, settings.token);
  await allowNodeCertificates(client).catch(unlessConflict);
  if (!settings.disable.includes("storage")) await ensureLocalClass(client);
  if (!settings.disable.includes("ingress")) await ensureIngressClass(client);
  if (!settings.disable.includes("dns")) {
    await ensureDnsService(client, settings.clusterDns.split(","));
  }
}

/** Runs until the signal aborts. Throws OperatorError with nothing left running. */
export async function runServer(settings: ServerSettings, given: Surroundings): Promise<void> {
  const nodeName = settings.nodeName ?? machineName();
  const address = nodeAddress(settings.nodeIp);
  if (settings.agent) await checkMachine(settings);
  const ends = new Ends();
  let endPods = async () => {};
  let shrinkNode = () => {};
  try {
    const control = await openControlPlane(settings, { nodeName, address }, given, ends);
    const { client, caches, hub, pki, around } = control;
    const { clock, random, log, signal, service } = around;
    const stopWriting = await insist({
      step: () => makeFirstObjects(client, settings),
      // The disk is full: what is there is served.
      passes: (error) => error instanceof StatusError && error.code === 503,
      what: "making the server's own objects",
      retryMs: limits.refusedWriteRetryMs,
      ...{ clock, log },
    });
    ends.keep(stopWriting, (stop) => stop());
    leadWhenElected(control, settings, nodeName, ends);
    const ownAddress = followAddress(settings, control, address);
    if (isShared(settings)) {
      const port = settings.httpsPort;
      const shared = { client, clock, log, signal, nodeName, address: ownAddress, port };
      followServers({ ...shared, onNamed: control.nameServers });
    }
    log.info("the API is ready", { url: `https://${address}:${settings.httpsPort}` });
    if (!settings.disable.includes("discovery")) {
      const service = { nodeName, port: settings.httpsPort, caSha256: pki.caFingerprint() };
      ends.keep(await announceServer(service, { client, clock, log }), (stop) => stop());
    }
    if (settings.agent) {
      const apiPort = settings.httpsPort;
      const datastore = datastoreServers(settings);
      const shared = { nodeName, apiPort, datastore, client, caches, clock, random, log };
      const parts = { ...shared, settings, cluster: settings };
      const node = ends.keep(await startNode(parts), (each) => each.stop());
      hub.addLocal(nodeName, node.handler);
      if (isShared(settings)) {
        const own = () => urlOf(ownAddress(), apiPort);
        const { dataDir } = settings;
        await dialOthers({ control, nodeName, dataDir, own, handler: node.handler });
      }
      shrinkNode = () => node.shrink();
      endPods = () => node.kubelet.shutdown(settings.shutdownGraceSeconds * 1_000);
    }
    service.ready(`serving on port ${settings.httpsPort}`);
    const shrink = () => {
      ownFootprint.shrink();
      shrinkNode();
    };
    trimWhenQuiet({ clock, log, signal, footprint: { ...ownFootprint, shrink } });
    await aborted(signal);
    await ending(around, endPods);
  } finally {
    await ends.all();
  }
}
