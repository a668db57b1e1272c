/**
 * Controllers and scheduler, in the one server that leads. A SQLite file has but one server (its
 * data directory is locked), which leads without a Lease and so writes nothing for it; servers that
 * share a datastore elect one, and the others stand by.
 */
import type { Client } from "#client/client.ts";
import { standForElection } from "#client/elect.ts";
import { createRecorder } from "#client/events.ts";
import { fenced } from "#client/fence.ts";
import { startControllers } from "#controllers/all.ts";
import { Scheduler } from "#scheduler/controller.ts";
import type { ControlPlane } from "./control.ts";
import { isShared } from "./datastore.ts";
import type { Ends } from "./ends.ts";
import type { ServerSettings } from "./settings.ts";

const LEASE = { namespace: "kube-system", name: "bramble-controllers" };
const LEASE_KEY = `coordination.k8s.io/leases/${LEASE.namespace}/${LEASE.name}`;

/** Until the signal aborts. */
function startLoops(
  control: ControlPlane,
  settings: ServerSettings,
  signal: AbortSignal,
  client: Client = control.client,
): void {
  const { clock, random, log } = control.around;
  const { caches } = control;
  const shared = { client, caches, clock, random, signal };
  startControllers({
    ...shared,
    log,
    caCertificate: control.pki.caPem,
    clusterCidr: settings.clusterCidr,
    serviceCidr: settings.serviceCidr,
    nodeGraceMs: settings.nodeGraceSeconds * 1000,
    signCertificate: (pem, options) => control.pki.signCertificate(pem, options),
  });
  const recorder = createRecorder({ client, clock, log, component: "default-scheduler" });
  void new Scheduler({ ...shared, recorder, log: log.part("scheduler") }).run();
}

/** Leads as soon as and as long as it may. What it holds is given back by `ends`. */
export function leadWhenElected(
  control: ControlPlane,
  settings: ServerSettings,
  nodeName: string,
  ends: Ends,
): void {
  const { clock, random, log, signal } = control.around;
  if (!isShared(settings)) {
    startLoops(control, settings, signal);
    return;
  }
  const standing = standForElection({
    ...LEASE,
    client: control.client,
    caches: control.caches,
    clock,
    random,
    log: log.part("election"),
    identity: `${nodeName}_${random.uuid()}`,
    signal,
    enter: ({ metadata }) =>
      control.beginTerm({ key: LEASE_KEY, revision: Number(metadata.resourceVersion) }),
    lead: (term, holds, client) => startLoops(control, settings, term, fenced(client, holds)),
  });
  ends.keep(standing, (over) => over);
}
