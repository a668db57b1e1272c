/** Autoscalers on the real API, by what adapters of each sort of metric say. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { deployments } from "#resources/kinds/deployment.ts";
import { events } from "#resources/kinds/event.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { MetricSpec } from "#resources/types.gen.ts";
import { type Plane, startPlane, until } from "#test/component/controllers/plane.ts";
import { template } from "#test/support/build.ts";

const namespace = "default";

let plane: Plane;
const podsOf = (selector: string | null): string[] => {
  const app = selector?.replace("app=", "") ?? "";
  const all = plane.caches.of(pods).list();
  return all.filter(({ metadata }) => metadata.labels?.["app"] === app).map((p) => p.metadata.name);
};

/**
 * Each container uses double the memory that it asks for, and each pod does 30 of all else.
 * CPU of a pod that has just started is not believed for a while; test/e2e/metrics has it.
 */
function adapters({ pathname, searchParams }: URL): object | undefined {
  const own = `/namespaces/${namespace}`;
  const [, group = "", what = ""] =
    /^\/apis\/([^/]+metrics\.k8s\.io|metrics\.k8s\.io)\/\w+(.*)$/.exec(pathname) ?? [];
  if (group === "") return undefined;
  const names = podsOf(searchParams.get("labelSelector"));
  const timestamp = new Date().toISOString();
  switch (`${group} ${what}`) {
    case `metrics.k8s.io ${own}/pods`: {
      const containers = [
        { name: "main", usage: { memory: "2Mi" } },
        { name: "side", usage: { memory: "2Mi" } },
      ];
      const items = names.map((name) => ({
        metadata: { name, namespace },
        timestamp,
        window: "10s",
        containers,
      }));
      return { kind: "PodMetricsList", items };
    }
    case `custom.metrics.k8s.io ${own}/pods/*/jobs`:
      return {
        items: names.map((name) => ({ describedObject: { name }, timestamp, value: "30" })),
      };
    case `custom.metrics.k8s.io ${own}/services/front/hits`:
      return { items: [{ describedObject: { name: "front" }, timestamp, value: "30" }] };
    case `external.metrics.k8s.io ${own}/queue`:
      return { items: [{ metricName: "queue", timestamp, value: "30" }] };
    default:
      return { items: [] };
  }
}

beforeAll(async () => {
  plane = await startPlane(["n1", "n2"], { adapters });
});
afterAll(() => plane.close());

async function workload(name: string, replicas: number): Promise<void> {
  const labels = { app: name };
  const pod = template("i", labels);
  const requests = { memory: "1Mi" };
  const containers = ["main", "side"].map((each) => ({
    name: each,
    image: "i",
    resources: { requests },
  }));
  await plane.client.create(deployments, {
    metadata: { namespace, name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { ...pod, spec: { containers } },
    },
  });
  await until(`${name} is ready`, async () => {
    const found = await plane.client.get(deployments, { namespace, name });
    return found?.status?.readyReplicas === replicas;
  });
}

const metric = (name: string) => ({ name });
const value = (type: string, number: string) =>
  ({ type, [type === "Value" ? "value" : "averageValue"]: number }) as const;
const front = { kind: "Service", name: "front", apiVersion: "v1" };

test.each<[string, MetricSpec, number, object]>([
  [
    "a resource of pods",
    // 4 of 2 MiB.
    {
      type: "Resource",
      resource: { name: "memory", target: { type: "Utilization", averageUtilization: 100 } },
    },
    4,
    { resource: { name: "memory", current: { averageUtilization: 200 } } },
  ],
  [
    "a resource of one container",
    // 2 of 1 MiB.
    {
      type: "ContainerResource",
      containerResource: {
        name: "memory",
        container: "main",
        target: { type: "Utilization", averageUtilization: 100 },
      },
    },
    4,
    { containerResource: { container: "main", current: { averageUtilization: 200 } } },
  ],
  [
    "a number of each pod",
    { type: "Pods", pods: { metric: metric("jobs"), target: value("AverageValue", "20") } },
    3,
    { pods: { metric: metric("jobs"), current: { averageValue: "30" } } },
  ],
  [
    "a number of an object",
    {
      type: "Object",
      object: { describedObject: front, metric: metric("hits"), target: value("Value", "15") },
    },
    4,
    { object: { metric: metric("hits"), current: { value: "30" } } },
  ],
  [
    "a number of the world outside",
    { type: "External", external: { metric: metric("queue"), target: value("AverageValue", "6") } },
    5,
    { external: { metric: metric("queue"), current: { averageValue: "15" } } },
  ],
])("by %s", async (what, spec, replicas, current) => {
  const name = what.replaceAll(" ", "-");
  await workload(name, 2);
  await plane.client.create(horizontalPodAutoscalers, {
    metadata: { namespace, name },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      maxReplicas: 10,
      metrics: [spec],
    },
  });
  const { status } = await until("it is scaled", async () => {
    const found = await plane.client.get(horizontalPodAutoscalers, { namespace, name });
    return (found?.status?.desiredReplicas ?? 0) > 2 && found;
  });
  expect(status?.desiredReplicas).toBe(replicas);
  expect(status?.currentMetrics?.[0]).toMatchObject({ type: spec.type, ...current });
  const active = status?.conditions?.map(({ type, status: is }) => `${type} ${is}`);
  expect(active).toEqual(
    expect.arrayContaining(["AbleToScale True", "ScalingActive True", "ScalingLimited False"]),
  );
  await until("the Deployment follows", async () => {
    const found = await plane.client.get(deployments, { namespace, name });
    return found?.spec?.replicas === replicas && found.status?.readyReplicas === replicas;
  });
  await until("the event", async () => {
    const { items } = await plane.client.list(events, { namespace });
    return items.some(
      ({ involvedObject, reason }) =>
        involvedObject.name === name &&
        involvedObject.kind === "HorizontalPodAutoscaler" &&
        reason === "SuccessfulRescale",
    );
  });
});

test("a metric that nobody has is told, and nothing is scaled", async () => {
  await workload("silent", 2);
  await plane.client.create(horizontalPodAutoscalers, {
    metadata: { namespace, name: "silent" },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "silent" },
      maxReplicas: 10,
      metrics: [
        { type: "External", external: { metric: metric("none"), target: value("Value", "1") } },
      ],
    },
  });
  const told = await until("a condition", async () => {
    const ref = { namespace, name: "silent" };
    const found = await plane.client.get(horizontalPodAutoscalers, ref);
    return found?.status?.conditions?.find(({ type }) => type === "ScalingActive");
  });
  expect(told).toMatchObject({ status: "False", reason: "FailedGetExternalMetric" });
  expect((await plane.client.get(deployments, { namespace, name: "silent" }))?.spec?.replicas).toBe(
    2,
  );
});
