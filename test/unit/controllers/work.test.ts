/** One changed pod costs the same however many others there are. */
import { expect, test } from "bun:test";
import type { Cache, CacheChange, Caches } from "#client/cache.types.ts";
import { allControllers } from "#controllers/all.ts";
import { resourceOf } from "#resources/kind.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";
import { ingresses } from "#resources/kinds/ingress.ts";
import { jobs } from "#resources/kinds/job.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { replicaSets } from "#resources/kinds/replicaset.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { type ApiObject, keyOf, type Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";
import { deployment, podStatus, replicaSet, template } from "#test/support/build.ts";
import { fakeClock } from "#test/support/clock.ts";
import { sized } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const PODS_A_SET = 10;
/** 10,000 pods, or 300. */
const MANY = sized(1000, 30);

/**
 * So many applications of ten pods each in one namespace that has quotas, each with a Service, a
 * budget, an Ingress, an autoscaler and a claim.
 */
function cluster(count: number): World {
  const world = new World();
  const namespace = "x";
  world.put(nodes, { metadata: { name: "n1" } });
  const hard = { pods: "20000", "requests.cpu": "20", services: "9", "count/jobs.batch": "3" };
  world.put(resourceQuotas, { metadata: { namespace, name: "q" }, spec: { hard } });
  world.put(resourceQuotas, {
    metadata: { namespace, name: "small" },
    spec: { hard: { pods: "20000" }, scopes: ["BestEffort"] },
  });
  for (let i = 0; i < count; i++) {
    const labels = { app: `app-${i}` };
    const selector = { matchLabels: labels };
    const name = `app-${i}`;
    const meta = { namespace, name, labels };
    const top = world.put(deployments, { ...deployment({ selector }, name), metadata: meta });
    const ref = { apiVersion: "apps/v1", controller: true };
    const set = world.put(replicaSets, {
      ...replicaSet(PODS_A_SET, { selector }),
      metadata: {
        ...meta,
        ownerReferences: [{ ...ref, kind: "Deployment", name, uid: top.metadata.uid }],
      },
    });
    world.put(services, { metadata: meta, spec: { selector: labels, ports: [{ port: 80 }] } });
    // Others that may take what nobody controls.
    world.put(statefulSets, { metadata: meta, spec: { selector, template: template() } });
    world.put(daemonSets, { metadata: meta, spec: { selector, template: template() } });
    world.put(jobs, { metadata: meta, spec: { selector, template: template() } });
    world.put(replicationControllers, { metadata: meta, spec: { selector: labels, replicas: 0 } });
    world.put(horizontalPodAutoscalers, {
      metadata: meta,
      spec: { maxReplicas: 9, scaleTargetRef: { kind: "Deployment", name, apiVersion: "apps/v1" } },
    });
    const backend = { service: { name, port: { number: 80 } } };
    world.put(ingresses, { metadata: meta, spec: { defaultBackend: backend } });
    world.put(persistentVolumeClaims, { metadata: meta, spec: { accessModes: ["ReadWriteMany"] } });
    const claim = { name: "data", persistentVolumeClaim: { claimName: name } };
    world.put(podDisruptionBudgets, { metadata: meta, spec: { selector, minAvailable: 1 } });
    for (let j = 0; j < PODS_A_SET; j++) {
      const owner = { ...ref, kind: "ReplicaSet", name, uid: set.metadata.uid };
      world.put(pods, {
        metadata: { ...meta, name: `${name}-${j}`, ownerReferences: [owner] },
        spec: { ...template().spec, containers: [], nodeName: "n1", volumes: [claim] },
        status: podStatus(world, { ready: true }) ?? {},
      });
    }
  }
  return world;
}

/** Caches that count the objects and running sums they hand out. */
function counting(caches: Caches): { caches: Caches; count: () => number; reset: () => void } {
  let handed = 0;
  const count = <T extends ApiObject>(found: ReadonlyArray<Stored<T>>) => {
    handed += found.length;
    return found;
  };
  const wrap = <T extends ApiObject>(cache: Cache<T>): Cache<T> => ({
    ...cache,
    list: (namespace) => count(cache.list(namespace)),
    indexed: (index, value) => count(cache.indexed(index, value)),
    sums(tally, at) {
      const sums = cache.sums(tally, at);
      handed += sums.length;
      return sums;
    },
  });
  const counted: Caches = {
    of: (kind, query) => wrap(caches.of(kind, query)),
    metadataOf: (kind) => wrap(caches.metadataOf(kind)),
    drop: () => {},
    renew: () => Promise.resolve(),
    stop: () => {},
  };
  return { caches: counted, count: () => handed, reset: () => (handed = 0) };
}

type Change = CacheChange<Pod>;

const KEY = "x/app-0-0";

/** What happens to one pod, each in a cluster of its own. */
const CHANGES: Readonly<Record<string, (world: World) => void>> = {
  "becomes unready": (world) =>
    world.change(pods, KEY, { status: podStatus(world, { ready: false }) }),
  ends: (world) => world.change(pods, KEY, { status: { phase: "Failed" } }),
  "is told to go": (world) =>
    world.change(pods, KEY, { metadata: { deletionTimestamp: world.time() } }),
  "is gone": (world) => world.remove(pods, KEY),
  "is made": (world) => {
    const one = world.get(pods, KEY);
    world.remove(pods, KEY);
    world.change(pods, "x/app-0-1", { status: podStatus(world, { ready: true }) });
    if (one !== undefined) world.put(pods, { ...one, status: {} });
  },
  "loses its controller": (world) => world.change(pods, KEY, { metadata: { ownerReferences: [] } }),
};

/** Of these a quota hears: it has something to count. */
const COUNTS_ANEW = ["ends", "is told to go", "is gone"];

/** Objects, and running sums, that each controller looks at when one pod changes. */
function workOf(world: World, happens: (world: World) => void): Record<string, number> {
  const before = world.get(pods, KEY);
  happens(world);
  const after = world.get(pods, KEY);
  const change: Change = { key: KEY, before, after };
  const told = [before, after].flatMap((one) => one ?? []);
  const { caches, count, reset } = counting(world.caches);
  const out: Record<string, number> = {};
  const options = {
    clock: fakeClock(world.now),
    caCertificate: "",
    clusterCidr: "10.42.0.0/16",
    serviceCidr: "10.43.0.0/16",
    nodeGraceMs: 10_000,
    signCertificate: () => "",
  };
  for (const controller of allControllers(options)) {
    reset();
    const keys = new Set<string>();
    const wake = (found: readonly string[]) => {
      for (const one of found) keys.add(one);
    };
    if (controller.kind === pods && controller.changed?.(change) !== false) {
      for (const one of told) wake(controller.keys?.(one, caches) ?? [keyOf(one)]);
    }
    controller.grow?.(caches, (trigger) => {
      const isPods = resourceOf(trigger.kind) === "pods";
      if (!isPods || trigger.changed?.(change) === false) return () => {};
      for (const one of told) wake(trigger.keys(one, caches));
      return () => {};
    });
    reset();
    for (const trigger of controller.triggers) {
      if (trigger.kind !== pods || trigger.changed?.(change) === false) continue;
      for (const one of told) wake(trigger.keys(one, caches));
    }
    for (const one of keys) controller.read(one, { caches, now: world.now, random: () => 0 });
    out[controller.name] = count();
  }
  return out;
}

for (const [what, happens] of Object.entries(CHANGES)) {
  test(`property: the work when one pod ${what} is the same among 100 and among many more`, () => {
    const small = workOf(cluster(10), happens);
    const large = workOf(cluster(MANY), happens);
    expect(large).toEqual(small);
    if (COUNTS_ANEW.includes(what)) expect(small["resourcequota"]).toBeGreaterThan(0);
    expect(Object.values(small).reduce((sum, one) => sum + one, 0)).toBeLessThan(120);
  }, 240_000);
}
