import { afterAll, beforeAll, expect, test } from "bun:test";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { daemonSets } from "#resources/kinds/daemonset.ts";
import { jobs } from "#resources/kinds/job.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { statefulSets } from "#resources/kinds/statefulset.ts";
import { keyOf, keyRef } from "#resources/meta.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(["n1", "n2", "n3"]);
});
afterAll(() => plane.close());

const namespace = "default";
const podsOf = async (app: string) =>
  (await plane.client.list(pods, { namespace, labelSelector: `app=${app}` })).items;

test("a StatefulSet comes up in order with its claims, rolls, and is scaled down", async () => {
  const { client } = plane;
  const labels = { app: "db" };
  const claim = {
    metadata: { name: "data" },
    spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } } },
  };
  await client.create(statefulSets, {
    metadata: { namespace, name: "db" },
    spec: {
      replicas: 3,
      serviceName: "db",
      selector: { matchLabels: labels },
      template: template("db:1", labels),
      volumeClaimTemplates: [claim],
    },
  });
  const ref = { namespace, name: "db" };
  const rolled = (replicas: number) =>
    until(`${replicas} of the current revision`, async () => {
      const found = await client.get(statefulSets, ref);
      const { status, metadata } = found ?? {};
      return (
        status?.observedGeneration === metadata?.generation &&
        status?.replicas === replicas &&
        status?.readyReplicas === replicas &&
        status?.currentRevision === status?.updateRevision &&
        found
      );
    });
  const before = await rolled(3);
  const born = (await podsOf("db")).map(({ metadata }) => [
    metadata.name,
    Number(metadata.resourceVersion),
  ]);
  expect(born.map(([name]) => name).sort()).toEqual(["db-0", "db-1", "db-2"]);
  expect((await client.list(persistentVolumeClaims, { namespace })).items).toHaveLength(3);
  const body = { spec: { template: { spec: { containers: [{ name: "main", image: "db:2" }] } } } };
  await client.patch(statefulSets, ref, "strategic", body);
  await until("the new revision", async () => {
    const found = await client.get(statefulSets, ref);
    return found?.status?.currentRevision !== before.status?.currentRevision;
  });
  await rolled(3);
  const images = (await podsOf("db")).map((pod) => pod.spec?.containers[0]?.image);
  expect(new Set(images)).toEqual(new Set(["db:2"]));
  await client.patch(statefulSets, ref, "merge", { spec: { replicas: 1 } });
  await until("one pod", async () => (await podsOf("db")).length === 1);
  expect((await client.list(persistentVolumeClaims, { namespace })).items).toHaveLength(3);
});

test("a DaemonSet runs on every node, also on a new one", async () => {
  const { client, hollow } = plane;
  const labels = { app: "agent" };
  await client.create(daemonSets, {
    metadata: { namespace, name: "agent" },
    spec: { selector: { matchLabels: labels }, template: template("agent:1", labels) },
  });
  const ready = (count: number) =>
    until(`${count} daemons`, async () => {
      const found = await client.get(daemonSets, { namespace, name: "agent" });
      return found?.status?.numberAvailable === count && found;
    });
  await ready(3);
  expect(new Set((await podsOf("agent")).map((pod) => pod.spec?.nodeName)).size).toBe(3);
  await hollow.join("n4");
  await ready(4);
});

test("a Job runs to its end, and its pods' objects stay without a finalizer", async () => {
  const { client } = plane;
  const labels = { app: "work" };
  const pod = template("work", labels);
  await client.create(jobs, {
    metadata: { namespace, name: "work" },
    spec: {
      completions: 4,
      parallelism: 2,
      template: { ...pod, spec: { containers: [], ...pod.spec, restartPolicy: "Never" } },
    },
  });
  const done = await until("the Job is complete", async () => {
    for (const one of await podsOf("work")) {
      if (one.status?.phase !== "Running") continue;
      const body = { status: { phase: "Succeeded" } };
      await client.patch(pods, keyRef(keyOf(one)), "merge", body, { subresource: "status" });
    }
    const found = await client.get(jobs, { namespace, name: "work" });
    return found?.status?.conditions?.some(({ type }) => type === "Complete") && found;
  });
  expect(done.status).toMatchObject({ succeeded: 4, ready: 0, terminating: 0 });
  expect(done.status?.completionTime).toBeDefined();
  const left = await podsOf("work");
  expect(left).toHaveLength(4);
  expect(left.every(({ metadata }) => !metadata.finalizers?.length)).toBe(true);
  const how = { propagationPolicy: "Background" } as const;
  await client.delete(jobs, { namespace, name: "work" }, how);
  await until("its pods are gone", async () => (await podsOf("work")).length === 0);
});

test("a CronJob that is due makes its Job", async () => {
  const { client } = plane;
  await client.create(cronJobs, {
    metadata: { namespace, name: "tick" },
    spec: {
      schedule: "@every 1s",
      concurrencyPolicy: "Forbid",
      jobTemplate: {
        spec: {
          template: { spec: { containers: [{ name: "m", image: "i" }], restartPolicy: "Never" } },
        },
      },
    },
  });
  const made = await until("a Job", async () => {
    const all = (await client.list(jobs, { namespace })).items;
    return all.find(({ metadata }) => metadata.name.startsWith("tick-"));
  });
  expect(made.metadata.ownerReferences?.[0]).toMatchObject({ kind: "CronJob", name: "tick" });
  await until("it is listed as active", async () => {
    const found = await client.get(cronJobs, { namespace, name: "tick" });
    return found?.status?.active?.[0]?.name === made.metadata.name;
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
