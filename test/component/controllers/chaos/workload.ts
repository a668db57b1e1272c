/** What users run on the simulated cluster, and how they change their minds. */
import type { createClient } from "#client/http.ts";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { jobs } from "#resources/kinds/job.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import { LOCAL_PROVISIONER } from "#resources/localvolume.ts";
import type { Simulation } from "#test/component/controllers/chaos/simulation.ts";
import { template } from "#test/support/build.ts";

export const namespace = "default";
export const SMALL = "small";
export const SMALL_PODS = 3;
export const GUARDED = { replicas: 4, minAvailable: 3 };
export const CALM = { replicas: 4, surge: 1, unavailable: 1 };

type Client = ReturnType<typeof createClient>;

const meta = (name: string, of = namespace) => ({ namespace: of, name });
const labels = (app: string) => ({ app });

/** Pods go from lost nodes after five seconds. */
const tolerations = ["unreachable", "not-ready"].map((key) => ({
  key: `node.kubernetes.io/${key}`,
  operator: "Exists",
  effect: "NoExecute",
  tolerationSeconds: 5,
}));

interface Shape {
  readonly restartPolicy?: string;
  /** Only on machines that never fail. */
  readonly steady?: boolean;
  /** It fails by itself now and then. */
  readonly fails?: boolean;
}

function pod(app: string, { restartPolicy = "Always", steady, fails }: Shape = {}) {
  const base = template(`${app}:1`, { ...labels(app), ...(fails && { fails: "true" }) });
  const nodeSelector = steady ? { nodeSelector: { steady: "true" } } : {};
  return {
    ...base,
    spec: { containers: [], ...base.spec, restartPolicy, tolerations, ...nodeSelector },
  };
}

const set = (app: string, replicas: number, shape: Shape = {}) => ({
  replicas,
  selector: { matchLabels: labels(app) },
  template: pod(app, shape),
});

async function buildDeployments(client: Client): Promise<void> {
  const make = (app: string, spec: ReturnType<typeof set> & object) =>
    client.create(deployments, { metadata: meta(app), spec });
  await make("web", set("web", 4, { fails: true }));
  const recreate = { strategy: { type: "Recreate" } };
  await client.create(deployments, {
    metadata: meta("one"),
    spec: { ...set("one", 2), ...recreate },
  });
  const rollingUpdate = { maxSurge: CALM.surge, maxUnavailable: CALM.unavailable };
  const strategy = { type: "RollingUpdate", rollingUpdate };
  const calm = { ...set("calm", CALM.replicas, { steady: true }), strategy };
  await client.create(deployments, { metadata: meta("calm"), spec: calm });
  await make("guarded", set("guarded", GUARDED.replicas, { steady: true }));
  await make("temp", set("temp", 2));
  await client.create(podDisruptionBudgets, {
    metadata: meta("guarded"),
    spec: { minAvailable: GUARDED.minAvailable, selector: { matchLabels: labels("guarded") } },
  });
  await client.create(services, {
    metadata: meta("web"),
    spec: { selector: labels("web"), ports: [{ port: 80 }] },
  });
}

async function buildSets(client: Client): Promise<void> {
  await client.create(storageClasses, {
    metadata: { name: "local" },
    provisioner: LOCAL_PROVISIONER,
    volumeBindingMode: "WaitForFirstConsumer",
    reclaimPolicy: "Delete",
    allowVolumeExpansion: true,
  });
  await client.create(statefulSets, { metadata: meta("db"), spec: set("db", 3, { fails: true }) });
  await client.create(statefulSets, {
    metadata: meta("store"),
    spec: {
      ...set("store", 2),
      podManagementPolicy: "Parallel",
      volumeClaimTemplates: [
        {
          metadata: { name: "data" },
          spec: {
            accessModes: ["ReadWriteOnce"],
            storageClassName: "local",
            resources: { requests: { storage: "1Gi" } },
          },
        },
      ],
    },
  });
  await client.create(daemonSets, {
    metadata: meta("agent"),
    spec: { selector: { matchLabels: labels("agent") }, template: pod("agent") },
  });
}

const batch = (app: string) => pod(app, { restartPolicy: "Never", fails: true });

async function buildJobs(client: Client): Promise<void> {
  const job = { completions: 5, parallelism: 2, backoffLimit: 50 };
  await client.create(jobs, {
    metadata: meta("work"),
    spec: { ...job, template: batch("work") },
  });
  await client.create(jobs, {
    metadata: meta("parts"),
    spec: { ...job, completionMode: "Indexed", template: batch("parts") },
  });
  await client.create(cronJobs, {
    metadata: meta("tick"),
    spec: {
      schedule: "* * * * *",
      concurrencyPolicy: "Forbid",
      jobTemplate: { spec: { template: batch("tick") } },
    },
  });
}

async function buildQuota(client: Client): Promise<void> {
  await client.create(namespaces, { metadata: { name: SMALL } });
  const hard = { pods: String(SMALL_PODS) };
  await client.create(resourceQuotas, { metadata: meta("few", SMALL), spec: { hard } });
  await client.create(deployments, { metadata: meta("many", SMALL), spec: set("many", 5) });
}

export async function build({ client }: Simulation): Promise<void> {
  await buildDeployments(client);
  await buildSets(client);
  await buildJobs(client);
  await buildQuota(client);
}

const image = (simulation: Simulation, app: string) => ({
  spec: {
    template: {
      spec: { containers: [{ name: "main", image: `${app}:${1 + simulation.chance.below(3)}` }] },
    },
  },
});

const pick = <T>(simulation: Simulation, list: readonly [T, ...T[]]): T =>
  simulation.chance.pick(list) ?? list[0];

/** A drain: budgets say how much of it is let through. */
async function evictSome(simulation: Simulation): Promise<void> {
  const { client, chance } = simulation;
  const { items } = await client.list(pods, { namespace, labelSelector: "app=guarded" });
  for (const one of items) {
    if (chance.next() < 0.5) continue;
    const metadata = meta(one.metadata.name);
    const body = { apiVersion: "policy/v1", kind: "Eviction", metadata };
    const done = await client.post(pods, metadata, "eviction", body).then(
      () => true,
      () => false,
    );
    if (done) simulation.note(`evicted ${one.metadata.name}`);
  }
}

async function deleteTemp(simulation: Simulation): Promise<void> {
  const { client } = simulation;
  const how = pick(simulation, ["Background", "Foreground", "Orphan"] as const);
  if ((await client.get(deployments, meta("temp"))) === undefined) {
    await client.create(deployments, { metadata: meta("temp"), spec: set("temp", 2) });
    simulation.note("temp is made again");
    return;
  }
  await client.delete(deployments, meta("temp"), { propagationPolicy: how });
  simulation.note(`temp is deleted: ${how}`);
}

async function passingNamespace(simulation: Simulation): Promise<void> {
  const { client } = simulation;
  const name = "passing";
  if ((await client.get(namespaces, { name })) === undefined) {
    await client.create(namespaces, { metadata: { name } });
    await client.create(deployments, { metadata: meta("web", name), spec: set("web", 2) });
    await client.create(services, {
      metadata: meta("web", name),
      spec: { selector: labels("web"), ports: [{ port: 80 }] },
    });
  } else {
    await client.delete(namespaces, { name });
  }
}

type Whim = (simulation: Simulation) => Promise<unknown>;

const scale =
  (kind: typeof deployments | typeof statefulSets, name: string, below: number): Whim =>
  ({ client, chance }) =>
    client.patch<object>(kind as typeof deployments, meta(name), "merge", {
      spec: { replicas: chance.below(below) },
    });

const WHIMS: Readonly<Record<string, Whim>> = {
  "scale web": scale(deployments, "web", 6),
  "scale db": scale(statefulSets, "db", 5),
  "scale store": scale(statefulSets, "store", 4),
  "update web": (s) => s.client.patch(deployments, meta("web"), "strategic", image(s, "web")),
  "update one": (s) => s.client.patch(deployments, meta("one"), "strategic", image(s, "one")),
  "update calm": (s) => s.client.patch(deployments, meta("calm"), "strategic", image(s, "calm")),
  "update db": (s) => s.client.patch(statefulSets, meta("db"), "strategic", image(s, "db")),
  "update agent": (s) => s.client.patch(daemonSets, meta("agent"), "strategic", image(s, "agent")),
  "update many": (s) =>
    s.client.patch(deployments, meta("many", SMALL), "strategic", image(s, "many")),
  "evict guarded": evictSome,
  "delete temp": deleteTemp,
  "passing namespace": passingNamespace,
  async "delete a pod"({ client, chance }) {
    const labelSelector = "app notin (guarded,calm)";
    const some = chance.pick((await client.list(pods, { namespace, labelSelector })).items);
    if (some) await client.delete(pods, meta(some.metadata.name));
  },
  async "grow a claim"({ client, chance }) {
    const some = chance.pick((await client.list(persistentVolumeClaims, { namespace })).items);
    if (some === undefined) return;
    await client.patch(persistentVolumeClaims, meta(some.metadata.name), "merge", {
      spec: { resources: { requests: { storage: `${2 + chance.below(3)}Gi` } } },
    });
  },
  "pause web": (s) =>
    s.client.patch(deployments, meta("web"), "merge", { spec: { paused: s.chance.next() < 0.5 } }),
  "suspend work": (s) =>
    s.client.patch(jobs, meta("work"), "merge", { spec: { suspend: s.chance.next() < 0.3 } }),
};

/** A user changes their mind. */
export async function meddle(simulation: Simulation): Promise<void> {
  const what = simulation.chance.pick(Object.keys(WHIMS)) ?? "";
  simulation.note(`user: ${what}`);
  await WHIMS[what]?.(simulation);
}

/** What would never come to rest is ended, what waits for a user goes on. */
export async function settleDown({ client }: Simulation): Promise<void> {
  await client.patch(cronJobs, meta("tick"), "merge", { spec: { suspend: true } });
  await client.patch(deployments, meta("web"), "merge", { spec: { paused: false } });
  await client.patch(jobs, meta("work"), "merge", { spec: { suspend: false } });
  if ((await client.get(namespaces, { name: "passing" })) !== undefined) {
    await client.delete(namespaces, { name: "passing" });
  }
}
