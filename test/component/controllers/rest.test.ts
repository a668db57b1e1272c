/** Each of the smaller controllers once against the real API: what they write is taken. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { endpoints } from "#resources/kinds/endpoints.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";
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
import { serviceAccounts } from "#resources/kinds/serviceaccount.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";

let plane: Plane;
beforeAll(async () => {
  plane = await startPlane(["n1", "n2"]);
});
afterAll(() => plane.close());

const namespace = "default";
const meta = (name: string) => ({ namespace, name });
const labels = { app: "web" };

test("a budget lets as many go as it may, and evictions hold to it", async () => {
  const { client } = plane;
  await client.create(deployments, {
    metadata: meta("web"),
    spec: { replicas: 3, selector: { matchLabels: labels }, template: template("web", labels) },
  });
  await client.create(podDisruptionBudgets, {
    metadata: meta("web"),
    spec: { maxUnavailable: 1, selector: { matchLabels: labels } },
  });
  const budget = () => client.get(podDisruptionBudgets, meta("web"));
  await until("one may go", async () => (await budget())?.status?.disruptionsAllowed === 1);
  const { items } = await client.list(pods, { namespace, labelSelector: "app=web" });
  const evict = (i: number) => {
    const metadata = meta(items[i]?.metadata.name ?? "");
    const body = { apiVersion: "policy/v1", kind: "Eviction", metadata };
    return client.post(pods, metadata, "eviction", body).then(
      () => 200,
      (error) => error.code,
    );
  };
  const answers = await Promise.all([evict(0), evict(1)]);
  expect(answers.sort()).toEqual([200, 429]);
  await until("one may go again", async () => (await budget())?.status?.disruptionsAllowed === 1);
});

test("a quota counts what is used", async () => {
  const { client } = plane;
  const hard = { pods: "10", "count/deployments.apps": "2", services: "5" };
  await client.create(resourceQuotas, { metadata: meta("q"), spec: { hard } });
  const used = await until("the count", async () => {
    const found = await client.get(resourceQuotas, meta("q"));
    return found?.status?.used?.["pods"] === "3" && found.status.used;
  });
  expect(used).toMatchObject({ "count/deployments.apps": "1" });
});

test("a quota has room again for what is gone, and nobody lists its namespace", async () => {
  const { client } = plane;
  const { direct } = plane.test.api;
  await client.create(namespaces, { metadata: { name: "counted" } });
  const inside = (name: string) => ({ namespace: "counted", name });
  await until("an account", () => client.get(serviceAccounts, inside("default")));
  const make = (name: string) =>
    client.create(pods, {
      metadata: inside(name),
      spec: { containers: [{ name: "c", image: "i" }] },
    });
  const used = async () => (await client.get(resourceQuotas, inside("q")))?.status?.used?.["pods"];
  await client.create(resourceQuotas, { metadata: inside("q"), spec: { hard: { pods: "2" } } });
  await until("the count", async () => (await used()) === "0");
  for (const name of ["a", "b"]) await make(name);
  await expect(make("c")).rejects.toThrow("exceeded quota");
  const lists: string[] = [];
  const list = direct.list.bind(direct);
  direct.list = (kind, query) => {
    lists.push(`${kind.plural} ${query.namespace}`);
    return list(kind, query);
  };
  await client.delete(pods, inside("a"), { gracePeriodSeconds: 0 });
  await until("room", async () => (await used()) === "1");
  direct.list = list;
  expect(lists).not.toContain("pods counted");
  await make("c");
  expect(await used()).toBe("2");
});

test("a claim and a volume find one another", async () => {
  const { client } = plane;
  await client.create(persistentVolumes, {
    metadata: { name: "v" },
    spec: {
      capacity: { storage: "5Gi" },
      accessModes: ["ReadWriteOnce"],
      hostPath: { path: "/srv/v" },
    },
  });
  await client.create(persistentVolumeClaims, {
    metadata: meta("c"),
    spec: {
      storageClassName: "",
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: "1Gi" } },
    },
  });
  const claim = await until("it is bound", async () => {
    const found = await client.get(persistentVolumeClaims, meta("c"));
    return found?.status?.phase === "Bound" && found;
  });
  expect(claim.spec?.volumeName).toBe("v");
  expect(claim.status?.capacity).toEqual({ storage: "5Gi" });
  await until("the volume says so", async () => {
    return (await client.get(persistentVolumes, { name: "v" }))?.status?.phase === "Bound";
  });
  await client.delete(persistentVolumeClaims, meta("c"));
  await until("the volume is released", async () => {
    return (await client.get(persistentVolumes, { name: "v" }))?.status?.phase === "Released";
  });
});

test("an autoscaler without metrics says so", async () => {
  const { client } = plane;
  await client.create(horizontalPodAutoscalers, {
    metadata: meta("web"),
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
      maxReplicas: 5,
    },
  });
  const condition = await until("a condition", async () => {
    const found = await client.get(horizontalPodAutoscalers, meta("web"));
    return found?.status?.conditions?.find(({ type }) => type === "ScalingActive");
  });
  expect(condition).toMatchObject({ status: "False", reason: "FailedGetResourceMetric" });
});

test("an autoscaler brings its target within its bounds", async () => {
  const { client } = plane;
  const body = { spec: { minReplicas: 4 } };
  await client.patch(horizontalPodAutoscalers, meta("web"), "merge", body);
  await until("four replicas", async () => {
    return (await client.get(deployments, meta("web")))?.spec?.replicas === 4;
  });
});

test("load balancers get addresses of nodes, endpoints made by hand a mirror", async () => {
  const { client } = plane;
  const addresses = [{ type: "InternalIP", address: "192.0.2.7" }];
  await client.patch(
    nodes,
    { name: "n1" },
    "merge",
    { status: { addresses } },
    { subresource: "status" },
  );
  await client.create(services, {
    metadata: meta("lb"),
    spec: { type: "LoadBalancer", ports: [{ port: 80 }] },
  });
  await client.create(endpoints, {
    metadata: meta("lb"),
    subsets: [{ addresses: [{ ip: "192.0.2.200" }], ports: [{ port: 80 }] }],
  });
  await until("an address", async () => {
    const found = await client.get(services, meta("lb"));
    return found?.status?.loadBalancer?.ingress?.[0]?.ip === "192.0.2.7";
  });
  await until("a mirror", async () => {
    const query = { namespace, labelSelector: "kubernetes.io/service-name=lb" };
    const { items } = await client.list(endpointSlices, query);
    return items[0]?.endpoints[0]?.addresses[0] === "192.0.2.200";
  });
});

test("a ReplicationController runs, an ended Job goes by its time", async () => {
  const { client } = plane;
  const own = { app: "rc" };
  await client.create(replicationControllers, {
    metadata: meta("rc"),
    spec: { replicas: 2, selector: own, template: template("rc", own) },
  });
  await until("two are ready", async () => {
    return (await client.get(replicationControllers, meta("rc")))?.status?.readyReplicas === 2;
  });
  const pod = template("job", { app: "job" });
  await client.create(jobs, {
    metadata: meta("short"),
    spec: {
      ttlSecondsAfterFinished: 0,
      template: { ...pod, spec: { containers: [], ...pod.spec, restartPolicy: "Never" } },
    },
  });
  await until("it ended and is gone", async () => {
    const { items } = await client.list(pods, { namespace, labelSelector: "app=job" });
    for (const { metadata, status } of items) {
      if (status?.phase !== "Running") continue;
      const done = { status: { phase: "Succeeded" } };
      await client.patch(pods, meta(metadata.name), "merge", done, { subresource: "status" });
    }
    return (await client.get(jobs, meta("short"))) === undefined;
  });
});

test("a request that no signer takes is marked as failed", async () => {
  const { client } = plane;
  const made = await client
    .create(certificateSigningRequests, {
      metadata: { name: "r" },
      spec: {
        request: btoa(
          "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        ),
        signerName: "kubernetes.io/kube-apiserver-client",
        usages: ["client auth"],
      },
    })
    .catch((error: Error) => error);
  // The API may see for itself that it is no request.
  if (made instanceof Error) {
    expect(made.message).toContain("spec.request");
    return;
  }
  const conditions = [{ type: "Approved", status: "True", reason: "Test" }];
  const object = { ...made, status: { conditions } };
  await client.update(certificateSigningRequests, object, { subresource: "approval" });
  await until("it failed", async () => {
    const found = await client.get(certificateSigningRequests, { name: "r" });
    return found?.status?.conditions?.some(({ type }) => type === "Failed");
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
