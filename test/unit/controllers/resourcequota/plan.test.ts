import { beforeEach, describe, expect, test } from "bun:test";
import { resourceQuotaController } from "#controllers/resourcequota/controller.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { persistentVolumeClaims } from "#resources/kinds/persistentvolumeclaim.ts";
import { pods } from "#resources/kinds/pod.ts";
import { resourceQuotas } from "#resources/kinds/resourcequota.ts";
import { services } from "#resources/kinds/service.ts";
import type { PodSpec, ResourceQuotaSpec } from "#resources/types.gen.ts";
import { deployment } from "#test/support/build.ts";
import { fakeClock } from "#test/support/clock.ts";
import { World } from "#test/support/world.ts";

let world: World;
let controller: ReturnType<typeof resourceQuotaController>;
beforeEach(() => {
  world = new World();
  const monotonic = () => world.now;
  controller = resourceQuotaController({ ...fakeClock(), monotonic });
});

function quota(hard: Record<string, string>, more: Partial<ResourceQuotaSpec> = {}): void {
  world.put(resourceQuotas, { metadata: { namespace: "x", name: "q" }, spec: { hard, ...more } });
}

function pod(name: string, requests: Record<string, string>, more: Partial<PodSpec> = {}): void {
  const resources = { requests, limits: { cpu: "2" } };
  world.put(pods, {
    metadata: { namespace: "x", name },
    spec: { containers: [{ name: "c", image: "i", resources }], ...more },
    status: { phase: "Running" },
  });
}

function used(): Record<string, string> | undefined {
  world.settle([controller]);
  return world.get(resourceQuotas, "x/q")?.status?.used;
}

describe("use is counted", () => {
  test("of pods that hold something, with init containers as the scheduler counts them", () => {
    quota({
      pods: "10",
      "count/pods": "20",
      cpu: "4",
      "requests.memory": "4Gi",
      "limits.cpu": "9",
    });
    pod("a", { cpu: "500m", memory: "1Gi" });
    pod(
      "b",
      { cpu: "250m", memory: "512Mi" },
      {
        initContainers: [{ name: "i", image: "i", resources: { requests: { cpu: "1" } } }],
      },
    );
    pod("ended", { cpu: "1" });
    world.change(pods, "x/ended", { status: { phase: "Succeeded" } });
    expect(used()).toEqual({
      pods: "2",
      "count/pods": "3",
      cpu: "1500m",
      "requests.memory": "1536Mi",
      "limits.cpu": "4",
    });
  });

  test("of Services, claims and anything by its number", () => {
    quota({
      services: "5",
      "services.nodeports": "5",
      "requests.storage": "10Gi",
      "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "3",
      configmaps: "5",
      "count/deployments.apps": "5",
    });
    const ports = [{ port: 80 }, { port: 81, name: "b" }];
    world.put(services, {
      metadata: { namespace: "x", name: "s" },
      spec: { type: "NodePort", ports },
    });
    world.put(persistentVolumeClaims, {
      metadata: { namespace: "x", name: "c" },
      spec: { storageClassName: "fast", resources: { requests: { storage: "2Gi" } } },
    });
    for (const name of ["a", "b"]) world.put(configMaps, { metadata: { namespace: "x", name } });
    world.put(configMaps, { metadata: { namespace: "other", name: "a" } });
    world.put(deployments, deployment());
    expect(used()).toEqual({
      services: "1",
      "services.nodeports": "2",
      "requests.storage": "2Gi",
      "fast.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
      configmaps: "2",
      "count/deployments.apps": "1",
    });
  });

  test("only of pods in its scopes", () => {
    quota({ pods: "5" }, { scopes: ["NotTerminating"] });
    pod("stays", { cpu: "1" });
    pod("ends", { cpu: "1" }, { activeDeadlineSeconds: 60 });
    expect(used()).toEqual({ pods: "1" });
    const high = { scopeName: "PriorityClass", operator: "In", values: ["high"] };
    quota({ pods: "5" }, { scopeSelector: { matchExpressions: [high] } });
    pod("important", { cpu: "1" }, { priorityClassName: "high" });
    expect(used()).toEqual({ pods: "1" });
  });

  test("of what a deleted pod holds until its grace is over", () => {
    quota({ pods: "5" });
    const end = new Date(world.now + 30_000).toISOString();
    pod("leaving", { cpu: "1" });
    world.change(pods, "x/leaving", { metadata: { deletionTimestamp: end } });
    expect(used()).toEqual({ pods: "1" });
    world.now += 31_000;
    expect(used()).toEqual({ pods: "0" });
  });
});

test("a lower count waits for the objects of what was charged just now", () => {
  quota({ pods: "5" });
  pod("a", { cpu: "1" });
  expect(used()).toEqual({ pods: "1" });
  world.change(resourceQuotas, "x/q", { status: { used: { pods: "2" } } });
  expect(used()).toEqual({ pods: "2" });
  world.now += 1_400;
  expect(used()).toEqual({ pods: "2" });
  world.now += 100;
  expect(used()).toEqual({ pods: "1" });
});

test("an unchanged use writes nothing", () => {
  quota({ cpu: "4", memory: "1Gi" });
  pod("a", { cpu: "1", memory: "64Mi" });
  expect(used()).toEqual({ cpu: "1", memory: "64Mi" });
  const { writes } = world;
  world.change(pods, "x/a", { metadata: { labels: { a: "b" } } });
  used();
  expect(world.writes).toBe(writes);
});
