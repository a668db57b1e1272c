/** metrics.k8s.io over agents that are played here. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { NodeLink, NodeUsageAnswer } from "#api/nodes.ts";
import { limits } from "#base/limits.ts";
import type { Pod } from "#resources/types.gen.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { fakeClock } from "#test/support/clock.ts";

const METRICS = "/apis/metrics.k8s.io/v1beta1";
const clock = fakeClock();
const asked: string[] = [];
const answers = new Map<string, NodeUsageAnswer>();

const link = (name: string): NodeLink => ({
  async fetch(request) {
    asked.push(`${name} ${new URL(request.url).pathname}`);
    return Response.json(answers.get(name));
  },
  open: () => Promise.reject(new Error("not asked for")),
});

let api: TestApi;

beforeAll(async () => {
  const nodeLinks = {
    link: (name: string) => (name === "away" ? undefined : link(name)),
    appears: async () => undefined,
  };
  api = await startApi({ clock, nodeLinks });
  for (const name of ["n1", "away"]) {
    await api.create("/api/v1/nodes", { kind: "Node", metadata: { name, labels: { at: name } } });
  }
  for (const [name, nodeName] of Object.entries({ web: "n1", other: "n1", lost: "away" })) {
    const containers = [{ name: "main", image: "x" }];
    const pod = { metadata: { name, labels: { app: name } }, spec: { nodeName, containers } };
    const made = await api.create("/api/v1/namespaces/default/pods", pod as Pod);
    if (name !== "web") continue;
    answers.set("n1", {
      atMs: clock.now(),
      windowMs: 14_997,
      node: { nanoCores: 250_000_000, memoryBytes: 2 ** 30 },
      pods: [
        {
          uid: made.metadata?.uid ?? "",
          containers: [{ name: "main", nanoCores: 1_500_000, memoryBytes: 4096 * 1000 }],
        },
      ],
    });
  }
});

afterAll(() => api.close());

test("is found by discovery", async () => {
  const { body } = await api.call("GET", METRICS);
  const resources = body.resources.map(({ name, kind, namespaced, verbs }: never) => [
    ...[name, kind, namespaced, verbs],
  ]);
  expect(resources.toSorted()).toEqual([
    ["nodes", "NodeMetrics", false, ["get", "list"]],
    ["pods", "PodMetrics", true, ["get", "list"]],
  ]);
});

test("lists pods by label, without those whose node does not say", async () => {
  const all = await api.call("GET", `${METRICS}/pods`);
  expect(all.body.kind).toBe("PodMetricsList");
  expect(all.body.items).toHaveLength(1);
  expect(all.body.items[0]).toMatchObject({
    kind: "PodMetrics",
    metadata: { name: "web", namespace: "default", labels: { app: "web" } },
    window: "14.997s",
    containers: [{ name: "main", usage: { cpu: "1500000n", memory: "4000Ki" } }],
  });
  const none = await api.call(
    "GET",
    `${METRICS}/namespaces/default/pods?labelSelector=app%3Dother`,
  );
  expect(none.body.items).toEqual([]);
});

test("gets one, or says that there is none", async () => {
  const one = await api.call("GET", `${METRICS}/namespaces/default/pods/web`);
  expect(one.body.containers[0].usage.cpu).toBe("1500000n");
  const node = await api.call("GET", `${METRICS}/nodes/n1`);
  expect(node.body.usage).toEqual({ cpu: "250000000n", memory: "1048576Ki" });
  for (const path of ["namespaces/default/pods/lost", "namespaces/default/pods/no", "nodes/away"]) {
    const { code, body } = await api.call("GET", `${METRICS}/${path}`);
    expect(code).toBe(404);
    expect(body.message).toContain("metrics.k8s.io");
  }
});

test("is a table for kubectl get", async () => {
  const headers = { accept: "application/json;as=Table;v=v1;g=meta.k8s.io" };
  const { body } = await api.call("GET", `${METRICS}/nodes`, undefined, { headers });
  expect(body.rows[0].cells).toEqual(["n1", "250000000n", "1048576Ki", "14.997s"]);
});

test("cannot be written or watched", async () => {
  expect((await api.call("DELETE", `${METRICS}/nodes/n1`)).code).toBe(405);
  expect((await api.call("GET", `${METRICS}/nodes?watch=1`)).code).toBe(405);
});

test("a node is asked once for many, and again when its answer is old", async () => {
  await clock.advance(limits.usageAgeMsMax + 1);
  asked.length = 0;
  await Promise.all([1, 2, 3].map(() => api.call("GET", `${METRICS}/pods`)));
  expect(asked).toEqual(["n1 /usage"]);
  await clock.advance(limits.usageAgeMsMax + 1);
  await api.call("GET", `${METRICS}/nodes`);
  expect(asked).toHaveLength(2);
});

test("a viewer may look, a stranger not", async () => {
  const user = { name: "ann", groups: ["system:authenticated"] };
  expect((await api.call("GET", `${METRICS}/nodes`, undefined, { user })).code).toBe(403);
  await api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
    metadata: { name: "ann" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
    subjects: [{ kind: "User", apiGroup: "rbac.authorization.k8s.io", name: "ann" }],
  } as never);
  expect((await api.call("GET", `${METRICS}/nodes`, undefined, { user })).code).toBe(200);
});
