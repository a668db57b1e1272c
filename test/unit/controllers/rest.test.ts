/**
 * All controllers together, from any state: they come to rest in a bounded number of rounds, and at
 * rest none of them has anything to do.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { allControllers } from "#controllers/all.ts";
import type { Kind } from "#resources/kind.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { jobs } from "#resources/kinds/job.ts";
import { namespaces } from "#resources/kinds/namespace.ts";
import { nodes } from "#resources/kinds/node.ts";
import { persistentVolumes } from "#resources/kinds/persistentvolume.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { podDisruptionBudgets } from "#resources/kinds/poddisruptionbudget.ts";
import { replicationControllers } from "#resources/kinds/replicationcontroller.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import { serviceCidrs } from "#resources/kinds/servicecidr.ts";
import { storageClasses } from "#resources/kinds/storageclass.ts";
import { LOCAL_PROVISIONER } from "#resources/localvolume.ts";
import type { ApiObject } from "#resources/meta.ts";
import { podStatus, template } from "#test/support/build.ts";
import { fakeClock } from "#test/support/clock.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const ROUNDS_MAX = 40;
const APPS = ["a", "b"];
const NODES = ["n1", "n2", "gone"];
const app = fc.constantFrom(...APPS);
const flag = fc.boolean();

type Put = (world: World, name: string) => void;

/** Puts an object as it is in the cluster, its status too. */
const putting =
  <T extends ApiObject>(kind: Kind<T>, of: (world: World, name: string) => T): Put =>
  (world, name) =>
    void world.put(kind, of(world, name));

const meta = (name: string, more: object = {}) => ({ namespace: "x", name, ...more });

const aPod = fc
  .record({
    app,
    node: fc.option(fc.constantFrom(...NODES)),
    phase: fc.constantFrom("Pending", "Running", "Succeeded", "Failed"),
    ready: flag,
    leaves: flag,
    uses: flag,
  })
  .map(({ app: label, node, phase, ready, leaves, uses }) =>
    putting(pods, (world, name) => ({
      metadata: meta(name, {
        labels: { app: label },
        ...(leaves && { deletionTimestamp: world.time() }),
      }),
      spec: {
        containers: template().spec?.containers ?? [],
        ...(node !== null && { nodeName: node }),
        ...(uses && { volumes: [{ name: "v", persistentVolumeClaim: { claimName: "claim" } }] }),
      },
      status: podStatus(world, { phase, ready }) ?? {},
    })),
  );

const aNode = fc
  .record({ ready: fc.constantFrom("True", "False", "Unknown"), unschedulable: flag })
  .map(({ ready, unschedulable }) =>
    putting(nodes, (world, name) => ({
      metadata: { name: NODES[Number(name.slice(1)) % 2] ?? name },
      spec: { unschedulable },
      status: {
        conditions: [{ type: "Ready", status: ready, lastTransitionTime: world.time() }],
      },
    })),
  );

const aService = fc.record({ app, headless: flag, selects: flag }).map((made) =>
  putting(services, (_, name) => ({
    metadata: meta(name),
    spec: {
      ...(made.selects && { selector: { app: made.app } }),
      ...(made.headless && { clusterIP: "None" }),
      type: made.headless ? "ClusterIP" : "LoadBalancer",
      ports: [{ port: 80 }],
    },
  })),
);

const anEndpoints = fc.constant(
  putting(endpoints, (_, name) => ({
    metadata: meta(name),
    subsets: [{ addresses: [{ ip: "10.0.0.1" }], ports: [{ port: 80 }] }],
  })),
);

const aBudget = fc
  .record({ app, minAvailable: fc.constantFrom(0, 1, "50%") })
  .map(({ app: label, minAvailable }) =>
    putting(podDisruptionBudgets, (_, name) => ({
      metadata: meta(name),
      spec: { minAvailable, selector: { matchLabels: { app: label } } },
    })),
  );

const aSet = fc.record({ app, replicas: fc.nat(3) }).map(({ app: label, replicas }) =>
  putting(replicationControllers, (_, name) => ({
    metadata: meta(name),
    spec: { replicas, selector: { app: label }, template: template("i", { app: label }) },
  })),
);

const aClaim = fc.record({ waits: flag, size: fc.constantFrom("1Gi", "2Gi") }).map((made) =>
  putting(persistentVolumeClaims, () => ({
    metadata: meta("claim"),
    spec: {
      storageClassName: made.waits ? "local" : "",
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: made.size } },
    },
  })),
);

const aVolume = fc.constantFrom("Retain", "Delete").map((policy) =>
  putting(persistentVolumes, (_, name) => ({
    metadata: { name },
    spec: {
      capacity: { storage: "1Gi" },
      accessModes: ["ReadWriteOnce"],
      persistentVolumeReclaimPolicy: policy,
      hostPath: { path: "/srv" },
    },
  })),
);

const others = fc.constantFrom<Put>(
  putting(resourceQuotas, (_, name) => ({ metadata: meta(name), spec: { hard: { pods: "9" } } })),
  putting(serviceCidrs, (_, name) => ({ metadata: { name }, spec: { cidrs: ["10.9.0.0/16"] } })),
  putting(namespaces, (_, name) => ({ metadata: { name } })),
  putting(storageClasses, () => ({
    metadata: { name: "local" },
    provisioner: LOCAL_PROVISIONER,
    volumeBindingMode: "Immediate",
  })),
  putting(jobs, (_, name) => ({
    metadata: meta(name, { uid: name }),
    spec: {
      suspend: true,
      selector: { matchLabels: { job: name } },
      template: { metadata: { labels: { job: name } }, spec: { containers: [] } },
    },
  })),
);

const puts = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: aPod },
    { weight: 2, arbitrary: aNode },
    aService,
    anEndpoints,
    aBudget,
    aSet,
    aClaim,
    aVolume,
    others,
  ),
  { maxLength: 14 },
);

test("property: all controllers come to rest from any state, and then do nothing", () => {
  fc.assert(
    fc.property(puts, (made) => {
      const world = new World();
      for (const name of ["x", "default"]) world.put(namespaces, { metadata: { name } });
      for (const [i, put] of made.entries()) put(world, `o${i}`);
      const controllers = allControllers({
        clock: { ...fakeClock(), monotonic: () => world.now },
        caCertificate: "ca",
        clusterCidr: "10.42.0.0/16",
        serviceCidr: "10.43.0.0/16",
        nodeGraceMs: 10_000,
        signCertificate: () => "",
      });
      world.settle(controllers, ROUNDS_MAX);
      // Whatever waits for its time is done by then, too.
      world.now += 3_600_000;
      world.settle(controllers, ROUNDS_MAX);
      const { writes } = world;
      expect(world.settle(controllers, ROUNDS_MAX)).toBe(0);
      expect(world.writes).toBe(writes);
    }),
    tries(150),
  );
}, 240_000);
