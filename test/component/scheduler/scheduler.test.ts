/**
 * The scheduler on the real API: what upstream's SchedulerPredicates and SchedulerPreemption look
 * for.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { nodes } from "#resources/kinds/node.ts";
import { pods } from "#resources/kinds/pod.ts";
import type { PodSpec } from "#resources/types.gen.ts";
import { until } from "#test/component/controllers/plane.ts";
import {
  makeClasses,
  type SchedulerPlane,
  startSchedulerPlane,
} from "#test/component/scheduler/plane.ts";

let plane: SchedulerPlane;
beforeEach(async () => {
  plane = await startSchedulerPlane();
});
afterEach(async () => {
  await plane.close();
});

const FOO = "scheduling.k8s.io/foo";
const foo = (amount: string, priorityClassName: string, on?: string): Partial<PodSpec> => ({
  priorityClassName,
  containers: [
    {
      name: "c",
      image: "i",
      resources: { requests: { [FOO]: amount }, limits: { [FOO]: amount } },
    },
  ],
  ...(on && { nodeSelector: { "kubernetes.io/hostname": on } }),
});

test("a pod is bound; one that fits nowhere hears why, and goes once a node suits", async () => {
  await plane.pod("a");
  expect(await plane.nodeOf("a")).toMatch(/^n[12]$/);
  await until("the event", async () => (await plane.reasons("a")).includes("Scheduled"));
  await plane.pod("b", { nodeSelector: { disk: "ssd" } });
  const told = "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.";
  await plane.waits("b", told);
  await until("the event", async () => (await plane.reasons("b")).includes("FailedScheduling"));
  await plane.client.patch(nodes, { name: "n2" }, "merge", {
    metadata: { labels: { disk: "ssd" } },
  });
  expect(await plane.nodeOf("b")).toBe("n2");
});

test("a pod of another scheduler is left alone; a gated one waits for its gate", async () => {
  await plane.pod("foreign", { schedulerName: "other" });
  await plane.pod("gated", { schedulingGates: [{ name: "example.com/wait" }] });
  await plane.pod("packed", { schedulerName: "packing-scheduler" });
  await plane.nodeOf("packed");
  const gated = plane.caches.of(pods).get("default/gated");
  expect(gated?.spec?.nodeName).toBeUndefined();
  expect(gated?.status?.conditions?.[0]?.reason).toBe("SchedulingGated");
  await plane.client.patch(pods, { namespace: "default", name: "gated" }, "merge", {
    spec: { schedulingGates: null },
  });
  await plane.nodeOf("gated");
  expect(plane.caches.of(pods).get("default/foreign")?.spec?.nodeName).toBeUndefined();
});

test("another scheduler binds through the API; what it took is not there for ours", async () => {
  for (const name of ["n1", "n2"]) await plane.size(name, { cpu: "2", pods: "110" });
  const asking = (cpu: string): Partial<PodSpec> => ({
    containers: [{ name: "c", image: "i", resources: { requests: { cpu } } }],
  });
  await plane.pod("theirs", { schedulerName: "other", ...asking("2") });
  const target = { apiVersion: "v1", kind: "Node", name: "n1" };
  const ref = { namespace: "default", name: "theirs" };
  const body = { apiVersion: "v1", kind: "Binding", metadata: { name: "theirs" }, target };
  await plane.client.post(pods, ref, "binding", body);
  expect(await plane.nodeOf("theirs")).toBe("n1");
  await plane.pod("ours", asking("2"));
  expect(await plane.nodeOf("ours")).toBe("n2");
  await plane.pod("none", asking("1"));
  await plane.waits("none", "0/2 nodes are available: 2 Insufficient cpu.");
  const again = plane.client.post(pods, ref, "binding", body);
  expect(await again.catch((error: Error) => error.message)).toContain("already assigned to node");
});

test("the pod of least priority makes room, with a condition and an event", async () => {
  await makeClasses(plane);
  for (const name of ["n1", "n2"]) await plane.size(name, { [FOO]: "5", cpu: "8", pods: "110" });
  await plane.pod("n1-low", foo("2", "low", "n1"), { finalizers: ["example.com/keep"] });
  for (const [name, on] of [
    ["n1-mid", "n1"],
    ["n2-a", "n2"],
    ["n2-b", "n2"],
  ] as const) {
    await plane.pod(name, foo("2", "mid", on));
  }
  for (const name of ["n1-low", "n1-mid", "n2-a", "n2-b"]) await plane.nodeOf(name);
  await plane.pod("preemptor", foo("2", "high"));
  const victim = await until("the victim leaves", () => {
    const found = plane.caches.of(pods).get("default/n1-low");
    return found?.metadata.deletionTimestamp === undefined ? undefined : found;
  });
  const target = victim.status?.conditions?.find(({ type }) => type === "DisruptionTarget");
  expect(target).toMatchObject({
    status: "True",
    reason: "PreemptionByScheduler",
    message: "default-scheduler: preempting to accommodate a higher priority pod",
  });
  await until("the event", async () => (await plane.reasons("n1-low")).includes("Preempted"));
  const waiting = await plane.waits("preemptor", "Insufficient scheduling.k8s.io/foo");
  expect(waiting.status?.nominatedNodeName).toBe("n1");
  await plane.client.patch(pods, { namespace: "default", name: "n1-low" }, "merge", {
    metadata: { finalizers: null },
  });
  expect(await plane.nodeOf("preemptor")).toBe("n1");
  for (const name of ["n1-mid", "n2-a", "n2-b"]) {
    expect(
      plane.caches.of(pods).get(`default/${name}`)?.metadata.deletionTimestamp,
    ).toBeUndefined();
  }
});

test("room that comes is given by priority, each pod once, without polling", async () => {
  await makeClasses(plane);
  await plane.size("n1", { [FOO]: "1", cpu: "8", pods: "110" });
  await plane.pod("first", foo("1", "high"));
  await plane.nodeOf("first");
  for (let i = 0; i < 20; i++) await plane.pod(`low${i}`, foo("1", "low"));
  await plane.pod("mid", foo("1", "mid"));
  await plane.waits("mid", "Insufficient");
  await plane.waits("low19", "Insufficient");
  await plane.client.delete(pods, { namespace: "default", name: "first" });
  expect(await plane.nodeOf("mid")).toBe("n1");
  await plane.size("n1", { [FOO]: "30", cpu: "8", pods: "110" });
  for (let i = 0; i < 20; i++) await plane.nodeOf(`low${i}`);
});
