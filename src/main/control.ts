/**
 * The control plane, joined: store, certificates, API and its socket, the clients in this process.
 */

import { existsSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";
import { createTunnelHub, type TunnelHub } from "#agents/tunnel/hub.ts";
import { type FrontProxy, openFrontProxy } from "#api/aggregation/identity.ts";
import { type Api, createApi } from "#api/app.ts";
import { type Listener, type ListenerOptions, listen } from "#api/listener.ts";
import { openPki, type Pki } from "#api/pki.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { createCaches } from "#client/cache.ts";
import type { Caches } from "#client/cache.types.ts";
import type { Client } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import { kinds } from "#resources/kinds.ts";
import { lockDataDir } from "#store/lock.ts";
import type { Seen, Store, Term } from "#store/store.ts";
import { AdminToken } from "./admintoken.ts";
import { type AuditLog, openAudit } from "./audit.ts";
import { openTrueClock } from "./clock.ts";
import { isShared, openDatastore, takeSharedKeys } from "./datastore.ts";
import type { Ends } from "./ends.ts";
import { makeDataDir } from "./instance.ts";
import { type NamedServer, saveKubeconfig } from "./kubeconfig.ts";
import {
  besideCluster,
  everyAddress,
  keepHandshakes,
  ownAddresses,
  reachableAddresses,
} from "./machine.ts";
import { checkPort } from "./preflight.ts";
import { serveAll } from "./routes.ts";
import type { Service } from "./service.ts";
import type { ServerSettings } from "./settings.ts";
import { kubernetesVersion } from "./version.ts";

/** What comes from outside the process. */
export interface Surroundings {
  clock: Clock;
  random: Random;
  log: Log;
  /** Aborts when the process is asked to end. */
  signal: AbortSignal;
  service: Service;
}

export interface ControlPlane {
  api: Api;
  client: Client;
  /**
   * A client whose writes are done only while nobody else began a term, which it begins, where an
   * object is still as it was seen; undefined where it is not.
   */
  beginTerm(seen: Seen): Promise<Client | undefined>;
  caches: Caches;
  hub: TunnelHub;
  pki: Pki;
  /** The admin's kubeconfig has a context for each of these from now on. */
  nameServers(servers: readonly NamedServer[]): void;
  /** With a clock that knows the last good moment of this data directory. */
  around: Surroundings;
}

/** Answered from the nodes; a metrics server of others takes its place by itself. */
const METRICS_GROUP = "metrics.k8s.io";
const SYSTEM = { name: "bramble:server", groups: ["system:masters"] };
/** Requests under way when the process is asked to end, or the admin's token was replaced. */
const STOP_GRACE_MS = 1_000;

/** What clients may reach this server by, as far as it is an address. */
export const certificateAddresses = (settings: ServerSettings, address: string): string[] => [
  address,
  ...besideCluster(reachableAddresses(), settings),
  ...settings.tlsSan.filter((name) => isIP(name) !== 0),
];

function openCertificates(
  settings: ServerSettings,
  names: { nodeName: string; address: string },
  around: Surroundings,
): Promise<Pki> {
  return openPki({
    dir: join(settings.dataDir, "pki"),
    clock: around.clock,
    random: around.random,
    log: around.log.part("pki"),
    names: [names.nodeName, ...settings.tlsSan.filter((name) => isIP(name) === 0)],
    ips: certificateAddresses(settings, names.address),
    clusterDomain: settings.clusterDomain,
    serviceCidrs: settings.serviceCidr.split(","),
  });
}

function apiOf(
  settings: ServerSettings,
  parts: {
    store: Store;
    hub: TunnelHub;
    pki: Pki;
    admin: AdminToken;
    address: string;
    audit: AuditLog | undefined;
    frontProxy: FrontProxy;
  },
  around: Surroundings,
): Api {
  const { clock, random } = around;
  const { frontProxy } = parts;
  return createApi({
    store: parts.store,
    kinds: settings.disable.includes("metrics")
      ? kinds.filter(({ group }) => group !== METRICS_GROUP)
      : kinds,
    clock,
    random,
    log: around.log.part("api"),
    nodeLinks: parts.hub,
    network: { addresses: ownAddresses },
    ...(parts.audit !== undefined && { audit: parts.audit }),
    auth: {
      tokens: parts.admin,
      // Servers that share an etcd learn of a new token from there alone.
      ...(!isShared(settings) && { lastSources: [parts.admin.source] }),
      serviceAccountKey: parts.pki.serviceAccountKey,
      frontProxy,
    },
    settings: {
      caPem: parts.pki.caPem,
      requestHeaderCaPem: frontProxy.caPem,
      serviceCidrs: settings.serviceCidr.split(","),
      nodePorts: {
        first: settings.serviceNodePortRange.from,
        last: settings.serviceNodePortRange.to,
      },
      advertise: {
        address: parts.address,
        port: settings.httpsPort,
        isShared: isShared(settings),
      },
      clusterDomain: settings.clusterDomain,
      requestsInFlightMax: settings.maxRequestsInflight + settings.maxMutatingRequestsInflight,
      tolerationSeconds: settings.defaultTolerationSeconds,
      gitVersion: kubernetesVersion,
    },
  });
}

function openListener(
  settings: ServerSettings,
  pki: Pki,
  fetch: ListenerOptions["fetch"],
  { clock, log }: Pick<Surroundings, "clock" | "log">,
): Listener {
  const { certPem, keyPem } = pki.server();
  const { bindAddress: hostname = everyAddress(), httpsPort: port } = settings;
  const tls = { cert: certPem, key: keyPem, clientCa: pki.caPem };
  keepHandshakes(log);
  const listener = listen({ fetch, hostname, port, tls, log: log.part("listener"), clock });
  pki.onRenewed((pair) => listener.renew({ cert: pair.certPem, key: pair.keyPem }));
  return listener;
}

/**
 * Opens everything up to the ready API. What was opened is ended by `ends`, also when this throws.
 */
export async function openControlPlane(
  settings: ServerSettings,
  names: { nodeName: string; address: string },
  given: Surroundings,
  ends: Ends,
): Promise<ControlPlane> {
  const { random, log } = given;
  const { dataDir } = settings;
  // Nothing is made for a server that cannot be reached; on the same directory the lock says more.
  const isNew = !existsSync(dataDir);
  if (isNew) await checkPort(settings);
  makeDataDir(dataDir);
  ends.keep(lockDataDir(dataDir), (lock) => lock.release());
  if (!isNew) await checkPort(settings);
  const around = { ...given, clock: openTrueClock(dataDir, given) };
  const { clock } = around;
  const storing = { clock, random, log: log.part("store") };
  const shared = isShared(settings) ? await takeSharedKeys(settings, storing) : undefined;
  if (shared !== undefined) ends.keep(shared, (each) => each.close());
  const pki = ends.keep(await openCertificates(settings, names, around), (each) => each.close());
  const hub = createTunnelHub({ log: log.part("tunnel"), clock });
  const admin = new AdminToken(dataDir, random);
  const frontProxy = openFrontProxy({ dir: join(dataDir, "pki"), clock, random });
  const known = await shared?.seal();
  shared?.close();
  const learning = { onLearned: () => admin.reread(), ...(known !== undefined && { known }) };
  const opened = await openDatastore(settings, { ...storing, ...learning });
  const store = ends.keep(opened, (each) => each.close());
  const audit = openAudit(settings, { clock, log: log.part("audit") });
  if (audit !== undefined) ends.keep(audit, (each) => each.close());
  const parts = { store, hub, pki, admin, audit, frontProxy, address: names.address };
  const api = ends.keep(apiOf(settings, parts, around), (each) => each.close());
  const { direct } = api;
  const clientOf = (env: { term?: Term } = {}): Client =>
    createClient((request) => api.fetch(request, { user: SYSTEM, ...env }), { direct });
  const client = clientOf();
  const beginTerm = async (seen: Seen): Promise<Client | undefined> => {
    const term = await store.beginTerm?.(seen);
    return term && clientOf({ term });
  };
  const caches = ends.keep(createCaches({ client, clock, log: log.part("cache") }), (c) =>
    c.stop(),
  );
  const fetch = serveAll({
    ...{ api, client, hub, clock, caPem: pki.caPem, cluster: settings },
    programsDir: join(dataDir, "programs"),
    serverName: names.nodeName,
  });
  const listener = openListener(settings, pki, fetch, around);
  ends.keep(listener, (each) => each.stop(STOP_GRACE_MS));
  await api.start();
  let named: readonly NamedServer[] = [];
  const nameServers = (others: readonly NamedServer[]): void => {
    named = others;
    const server = `https://127.0.0.1:${settings.httpsPort}`;
    const config = { server, caPem: pki.caPem, user: { token: admin.token }, others };
    saveKubeconfig(join(dataDir, "kubeconfig"), config);
  };
  nameServers([]);
  admin.onReplaced(() => {
    log.warn("the admin's token was replaced: the old one is rejected, and all streams end");
    nameServers(named);
    listener.endStreams(STOP_GRACE_MS);
  });
  return { api, client, beginTerm, caches, hub, pki, around, nameServers };
}
