/** What pods use, with nothing installed: `kubectl top`, an autoscaler, and the kubelet's own API. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { autoscaledManifest } from "#test/e2e/autoscaled.ts";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";

const SCALED_MS_MAX = 300_000;

let cluster: Instance;

const burner = autoscaledManifest({ name: "burner", script: "while true; do :; done" });

beforeAll(async () => {
  cluster = await startInstance({ name: "metrics", images: ["1"] });
  await cluster.apply(burner);
  await cluster.must("rollout", "status", "deployment/burner", "--timeout=120s");
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

const rows = (text: string): string[][] =>
  text
    .trim()
    .split("\n")
    .map((line) => line.split(/\s+/));

test("kubectl top tells the limited CPU of a pod, and of the node", async () => {
  const cores = await eventually("a figure of the pod", 60_000, async () => {
    const [, row] = rows(await cluster.must("top", "pod", "-l", "app=burner", "--containers"));
    return row?.[1] === "main" ? Number.parseInt(row[2] ?? "", 10) : undefined;
  });
  expect(cores).toBeGreaterThan(10);
  expect(cores).toBeLessThan(200);
  const [head, node] = rows(await cluster.must("top", "nodes"));
  expect(head?.slice(0, 2)).toEqual(["NAME", "CPU(cores)"]);
  expect(Number.parseInt(node?.[1] ?? "", 10)).toBeGreaterThan(10);
  expect(node?.[3]).toMatch(/^\d+Mi$/);
});

test("an autoscaler takes a busy Deployment to its most replicas", async () => {
  await eventually("three replicas", SCALED_MS_MAX, async () => {
    const path = "jsonpath={.status.readyReplicas}";
    return (await cluster.must("get", "deployment/burner", "-o", path)) === "3";
  });
  const events = await cluster.must("get", "events", "--field-selector=reason=SuccessfulRescale");
  expect(events).toContain("cpu resource utilization (percentage of request) above target");
  const active = await cluster.must(
    ...["get", "hpa/burner", "-o", 'jsonpath={.status.conditions[?(@.type=="ScalingActive")]}'],
  );
  expect(JSON.parse(active)).toMatchObject({ status: "True", reason: "ValidMetricFound" });
}, 450_000);

test("the node proxy answers the kubelet's paths", async () => {
  const name = await cluster.must("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}");
  const get = (path: string) => cluster.must("get", "--raw", `/api/v1/nodes/${name}/proxy${path}`);
  expect(await get("/healthz")).toBe("ok");
  expect(JSON.parse(await get("/pods")).items.length).toBeGreaterThan(0);
  const summary = JSON.parse(await get("/stats/summary"));
  const pod = summary.pods.find(({ podRef }: { podRef: { name: string } }) =>
    podRef.name.startsWith("burner-"),
  );
  expect(pod.containers[0].cpu.usageNanoCores).toBeGreaterThan(10_000_000);
  expect(summary.node.memory.workingSetBytes).toBeGreaterThan(2 ** 20);
  expect(await get("/metrics")).toContain("kubelet_running_pods ");
  expect(await get("/metrics/resource")).toContain(
    'pod_cpu_usage_seconds_total{namespace="default"',
  );
  expect(await get("/metrics/cadvisor")).toContain(
    'container_memory_working_set_bytes{container="m',
  );
  expect(JSON.parse(await get("/configz")).kubeletconfig.kind).toBe("KubeletConfiguration");
  const [one = ""] = rows(await cluster.must("get", "pods", "--no-headers")).map(
    ([first]) => first,
  );
  expect(await get(`/containerLogs/default/${one}/main`)).toBe("");
  expect(
    (await cluster.kubectl(["get", "--raw", `/api/v1/nodes/${name}/proxy/none`])).exitCode,
  ).toBe(1);
});
