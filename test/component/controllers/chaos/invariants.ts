/** What must hold at every moment, and what must hold once all is well again. */
import { expect } from "bun:test";
import type { Kind } from "#resources/kind.ts";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { jobs } from "#resources/kinds/job.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { type ApiObject, controllerOf, type Stored } from "#resources/meta.ts";
import { compareQuantity } from "#resources/quantity.ts";
import type { Pod } from "#resources/types.gen.ts";
import type { Simulation } from "#test/component/controllers/chaos/simulation.ts";
import {
  CALM,
  GUARDED,
  namespace,
  SMALL,
  SMALL_PODS,
} from "#test/component/controllers/chaos/workload.ts";

const isOver = ({ status }: Pod): boolean =>
  status?.phase === "Succeeded" || status?.phase === "Failed";
const isUp = (one: Stored<Pod>): boolean =>
  !one.metadata.deletionTimestamp && one.status?.phase === "Running";
const isReady = (one: Stored<Pod>): boolean =>
  isUp(one) &&
  one.status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True") ===
    true;
const appOf = ({ metadata }: Stored): string => metadata.labels?.["app"] ?? "";

/** No identity runs twice, on whatever machine and whoever knows of it. */
function checkIdentities({ machines }: Simulation): void {
  const seen = new Map<string, string>();
  for (const [node, here] of machines.running) {
    for (const key of here.values()) {
      if (!/\/(db|store)-\d+$/.test(key)) continue;
      expect(`${key} on ${seen.get(key) ?? node}`).toBe(`${key} on ${node}`);
      seen.set(key, node);
    }
  }
}

const tell = ({ metadata, spec, status }: Stored<Pod>): string => {
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status;
  const goes = metadata.deletionTimestamp === undefined ? "" : " goes";
  return `${metadata.name} on ${spec?.nodeName} ${status?.phase} ready=${ready}${goes}`;
};

export class Watchman {
  readonly #simulation: Simulation;
  /** Apps that have been whole once: from then on they stay available. */
  readonly #whole = new Set<string>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  async look(): Promise<void> {
    const simulation = this.#simulation;
    checkIdentities(simulation);
    const leading = simulation.managers.filter(({ leads }) => leads);
    this.#atMost("leaders", leading.length, 1);
    if (!simulation.server.up) return;
    const { items } = await simulation.client.list(pods);
    const here = items.filter(({ metadata }) => metadata.namespace === namespace);
    const of = (app: string) => here.filter((one) => appOf(one) === app && !isOver(one));
    this.#available("guarded", of("guarded"), GUARDED.replicas, GUARDED.minAvailable);
    this.#available("calm", of("calm"), CALM.replicas, CALM.replicas - CALM.unavailable);
    const calm = of("calm").filter(({ metadata }) => !metadata.deletionTimestamp);
    this.#atMost("pods of calm", calm.length, CALM.replicas + CALM.surge);
    const hash = "pod-template-hash";
    const versions = new Set(of("one").map(({ metadata }) => metadata.labels?.[hash]));
    this.#atMost("versions of a Recreate at once", versions.size, 1);
    // A pod that should be gone by now, on a machine that does not answer, counts no more.
    const now = simulation.clock.now();
    const stands = ({ metadata }: Stored<Pod>) =>
      !(Date.parse(metadata.deletionTimestamp ?? "") <= now);
    const few = items.filter(
      (one) => one.metadata.namespace === SMALL && !isOver(one) && stands(one),
    );
    this.#atMost("pods under a quota", few.length, SMALL_PODS);
    const ticks = (await simulation.client.list(jobs, { namespace })).items.filter(
      (one) => controllerOf(one)?.kind === "CronJob" && !isFinished(one),
    );
    this.#atMost("jobs of a CronJob that forbids two", ticks.length, 1);
  }

  #available(app: string, all: ReadonlyArray<Stored<Pod>>, whole: number, least: number): void {
    const ready = all.filter(isReady).length;
    if (ready >= whole) this.#whole.add(app);
    if (!this.#whole.has(app)) return;
    if (ready < least) this.#simulation.note(`${app}: ${all.map(tell).join(", ")}`);
    expect(`${app}: ${Math.min(ready, least)} available`).toBe(`${app}: ${least} available`);
  }

  #atMost(what: string, count: number, most: number): void {
    expect(`${what}: ${Math.max(count, most)}`).toBe(`${what}: ${most}`);
  }
}

const isFinished = (job: { status?: { conditions?: Array<{ type: string; status: string }> } }) =>
  job.status?.conditions?.some(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  ) === true;

/** Everything is as its users want it. Throws what is not. */
export async function checkRest(simulation: Simulation): Promise<void> {
  const { client, machines } = simulation;
  const all = (await client.list(pods, { namespace })).items;
  const of = (app: string) => all.filter((one) => appOf(one) === app && isUp(one));
  const names = (app: string) => of(app).map((one) => one.metadata.name);
  for (const found of (await client.list(deployments, { namespace })).items) {
    const { replicas = 1 } = found.spec ?? {};
    expect([found.metadata.name, found.status]).toMatchObject([
      found.metadata.name,
      replicas > 0 ? { updatedReplicas: replicas, availableReplicas: replicas, replicas } : {},
    ]);
    expect(names(found.metadata.name)).toHaveLength(replicas);
    const image = found.spec?.template?.spec?.containers[0]?.image;
    for (const one of of(found.metadata.name)) {
      expect(one.spec?.containers[0]?.image).toBe(image ?? "");
    }
  }
  for (const found of (await client.list(statefulSets, { namespace })).items) {
    const { replicas = 1 } = found.spec ?? {};
    const wanted = Array.from({ length: replicas }, (_, i) => `${found.metadata.name}-${i}`);
    expect(names(found.metadata.name).sort()).toEqual(wanted);
    expect([found.metadata.name, found.status]).toMatchObject([
      found.metadata.name,
      { replicas, currentRevision: found.status?.updateRevision ?? "" },
    ]);
  }
  const agents = of("agent").map((one) => one.spec?.nodeName);
  expect(agents.sort()).toEqual([...machines.names].sort());
  const agent = await client.get(daemonSets, { namespace, name: "agent" });
  const count = machines.names.length;
  expect(agent?.status).toMatchObject({ updatedNumberScheduled: count, numberAvailable: count });
  await checkJobs(simulation);
  await checkSmall(simulation);
  await checkStorage(simulation);
  await checkEndpoints(simulation, names("web"));
  await checkOwners(simulation);
  await checkGenerations(simulation);
  expect(await client.get(namespaces, { name: "passing" })).toBeUndefined();
  for (const one of await client.list(nodes).then(({ items }) => items)) {
    expect([one.metadata.name, one.spec?.taints ?? []]).toEqual([one.metadata.name, []]);
  }
}

async function checkJobs({ client }: Simulation): Promise<void> {
  for (const name of ["work", "parts"]) {
    const job = await client.get(jobs, { namespace, name });
    expect([name, job?.status?.conditions?.map(({ type }) => type)]).toEqual([
      name,
      expect.arrayContaining(["Complete"]),
    ]);
    // Pods that had succeeded before they were stopped count too; an index counts once.
    const least = (job?.status?.succeeded ?? 0) >= 5;
    expect([name, name === "parts" ? job?.status?.succeeded : least]).toEqual([
      name,
      name === "parts" ? 5 : true,
    ]);
  }
  const { items } = await client.list(jobs, { namespace });
  expect(items.filter((one) => !isFinished(one)).map((one) => one.metadata.name)).toEqual([]);
  const tick = await client.get(cronJobs, { namespace, name: "tick" });
  expect(tick?.status?.active ?? []).toEqual([]);
  const held = (await client.list(pods, { namespace })).items.filter(({ metadata }) =>
    metadata.finalizers?.includes("batch.kubernetes.io/job-tracking"),
  );
  expect(held.map(({ metadata }) => metadata.name)).toEqual([]);
}

async function checkSmall({ client }: Simulation): Promise<void> {
  const budget = await client.get(podDisruptionBudgets, { namespace, name: "guarded" });
  expect(budget?.status).toMatchObject({
    currentHealthy: GUARDED.replicas,
    disruptionsAllowed: GUARDED.replicas - GUARDED.minAvailable,
  });
  const quota = await client.get(resourceQuotas, { namespace: SMALL, name: "few" });
  const { items } = await client.list(pods, { namespace: SMALL });
  expect(items.filter(isReady)).toHaveLength(SMALL_PODS);
  expect(quota?.status?.used).toEqual({ pods: String(SMALL_PODS) });
}

async function checkStorage({ client }: Simulation): Promise<void> {
  const claims = (await client.list(persistentVolumeClaims, { namespace })).items;
  let bound = 0;
  const store = await client.get(statefulSets, { namespace, name: "store" });
  for (const { metadata, spec, status } of claims) {
    // A pod that was scaled away before it had a node left a claim that waits for the next one.
    const ordinal = Number(metadata.name.split("-").at(-1));
    if (status?.phase === "Pending" && ordinal >= (store?.spec?.replicas ?? 0)) continue;
    bound++;
    const volume = await client.get(persistentVolumes, { name: spec?.volumeName ?? "none" });
    expect([metadata.name, status?.phase, volume?.status?.phase]).toEqual([
      metadata.name,
      "Bound",
      "Bound",
    ]);
    const wanted = spec?.resources?.requests?.["storage"] ?? "";
    // Who asks for less while it grows keeps what it has become.
    const has = status?.capacity?.["storage"] ?? "0";
    expect([metadata.name, has, compareQuantity(has, wanted) >= 0]).toEqual([
      metadata.name,
      has,
      true,
    ]);
  }
  const volumes = (await client.list(persistentVolumes)).items;
  expect(volumes).toHaveLength(bound);
}

async function checkEndpoints({ client }: Simulation, wanted: string[]): Promise<void> {
  const slices = (await client.list(endpointSlices, { namespace })).items;
  const shown = slices
    .filter((one) => one.metadata.labels?.["kubernetes.io/service-name"] === "web")
    .flatMap((one) => one.endpoints.flatMap(({ targetRef }) => targetRef?.name ?? []));
  expect(shown.sort()).toEqual(wanted.sort());
}

const OWNING: readonly Kind[] = [
  deployments,
  replicaSets,
  statefulSets,
  daemonSets,
  jobs,
  cronJobs,
  services,
  nodes,
  pods,
  persistentVolumeClaims,
];

/** Nothing is left that belonged to what is gone. */
async function checkOwners({ client }: Simulation): Promise<void> {
  const all: Array<Stored<ApiObject>> = [];
  for (const kind of OWNING) all.push(...(await client.list(kind)).items);
  const uids = new Set(all.map(({ metadata }) => metadata.uid));
  for (const { kind, metadata } of all) {
    const owners = metadata.ownerReferences ?? [];
    const gone = owners.filter(({ uid }) => !uids.has(uid));
    expect([kind, metadata.name, gone]).toEqual([kind, metadata.name, []]);
    expect([kind, metadata.name, metadata.deletionTimestamp]).toEqual([
      kind,
      metadata.name,
      undefined,
    ]);
  }
}

async function checkGenerations({ client }: Simulation): Promise<void> {
  const kinds = [deployments, replicaSets, statefulSets, daemonSets, podDisruptionBudgets];
  for (const kind of kinds) {
    const { items } = await client.list<ApiObject & { status?: { observedGeneration?: number } }>(
      kind as Kind,
    );
    for (const { metadata, status } of items) {
      expect([kind.kind, metadata.name, status?.observedGeneration]).toEqual([
        kind.kind,
        metadata.name,
        metadata.generation,
      ]);
    }
  }
}
