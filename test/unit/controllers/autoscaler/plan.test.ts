import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { StatusError } from "#client/client.ts";
import { type Bounds, behave } from "#controllers/autoscaler/behavior.ts";
import { autoscalerController } from "#controllers/autoscaler/controller.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { horizontalPodAutoscalers } from "#resources/kinds/horizontalpodautoscaler.ts";
import { pods } from "#resources/kinds/pod.ts";
import type {
  AutoscalingV2HorizontalPodAutoscalerSpec,
  HorizontalPodAutoscalerBehavior,
  Json,
  MetricSpec,
} from "#resources/types.gen.ts";
import { deployment, template } from "#test/support/build.ts";
import { World } from "#test/support/world.ts";

const KEY = "x/web";
let world: World;
let controller: ReturnType<typeof autoscalerController>;
/** Use of CPU by pod, in thousandths; answers of other paths. */
let cpu: Record<string, number>;
let answers: Record<string, Json>;
beforeEach(() => {
  world = new World();
  controller = autoscalerController();
  cpu = {};
  answers = {};
});

function hpa(spec: Partial<AutoscalingV2HorizontalPodAutoscalerSpec> = {}): void {
  world.put(horizontalPodAutoscalers, {
    metadata: { namespace: "x", name: "web" },
    spec: {
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "web" },
      minReplicas: 1,
      maxReplicas: 10,
      ...spec,
    },
  });
}

/** A Deployment whose pods each ask for 100m and use so much. */
function workload(
  used: readonly number[],
  options: { ready?: boolean; ageMs?: number } = {},
): void {
  const { ready = true, ageMs = 3_600_000 } = options;
  world.put(deployments, deployment({ replicas: used.length }));
  const startTime = new Date(world.now - ageMs).toISOString();
  const condition = {
    type: "Ready",
    status: ready ? "True" : "False",
    lastTransitionTime: startTime,
  };
  cpu = {};
  for (const pod of world.list(pods)) world.remove(pods, `x/${pod.metadata.name}`);
  for (const [i, value] of used.entries()) {
    const base = template();
    const [container = { name: "main" }] = base.spec?.containers ?? [];
    const resources = { requests: { cpu: "100m" } };
    world.put(pods, {
      metadata: { namespace: "x", name: `p${i}`, labels: { app: "web" } },
      spec: { containers: [{ ...container, resources }] },
      status: { phase: "Running", startTime, conditions: [condition] },
    });
    cpu[`p${i}`] = value;
  }
}

function read(path: string): Json {
  const found = answers[path];
  if (found !== undefined) return found;
  const replicas = world.get(deployments, KEY)?.spec?.replicas ?? 0;
  if (path === "/apis/apps/v1/namespaces/x/deployments/web/scale") {
    return { spec: { replicas }, status: { replicas, selector: "app=web" } };
  }
  if (path.startsWith("/apis/metrics.k8s.io/v1beta1/namespaces/x/pods?labelSelector=app%3Dweb")) {
    const timestamp = world.time();
    const items = Object.entries(cpu).map(([name, value]) => ({
      metadata: { name },
      timestamp,
      window: "30s",
      containers: [{ name: "main", usage: { cpu: `${value}m` } }],
    }));
    return { items };
  }
  throw new StatusError(404, "NotFound", `the server could not find the requested resource`);
}

/** One look, as the loop does it. */
async function look(laterMs = 15_000): Promise<number> {
  world.now += laterMs;
  const around = { caches: world.caches, now: world.now, random: () => 0 };
  let state = controller.read(KEY, around);
  if (state === undefined) throw new Error("nothing to look at");
  const client = { read: async (path: string) => read(path) };
  state = (await controller.confirm?.(state, client as never)) ?? state;
  const { actions, againMs } = controller.plan(state, world.now);
  expect(againMs).toBe(15_000);
  for (const action of actions) {
    if (action.do === "patch" && action.options?.subresource === "scale") {
      world.change(deployments, KEY, action.body as object);
    } else {
      world.apply(action);
    }
  }
  return world.get(deployments, KEY)?.spec?.replicas ?? 0;
}

const status = () => world.get(horizontalPodAutoscalers, KEY)?.status;
const condition = (type: string) => status()?.conditions?.find((one) => one.type === type);
const utilization = (averageUtilization: number): MetricSpec => ({
  type: "Resource",
  resource: { name: "cpu", target: { type: "Utilization", averageUtilization } },
});

describe("by CPU", () => {
  test("too much grows, in proportion; about the target stays", async () => {
    hpa({ metrics: [utilization(50)] });
    workload([100, 100]);
    expect(await look()).toBe(4);
    expect(status()).toMatchObject({ currentReplicas: 2, desiredReplicas: 4 });
    expect(status()?.currentMetrics).toEqual([
      {
        type: "Resource",
        resource: { name: "cpu", current: { averageUtilization: 100, averageValue: "100m" } },
      },
    ]);
    expect(condition("ScalingActive")).toMatchObject({
      status: "True",
      reason: "ValidMetricFound",
    });
    expect(condition("AbleToScale")).toMatchObject({ reason: "SucceededRescale" });
    expect(world.events[0]).toContain("New size: 4; reason: cpu resource utilization");
    workload([54, 52, 50, 53]);
    expect(await look()).toBe(4);
  });

  test("too little shrinks only after five minutes of it", async () => {
    hpa({ metrics: [utilization(50)] });
    workload([10, 10, 10, 10]);
    expect(await look()).toBe(4);
    expect(condition("AbleToScale")).toMatchObject({ reason: "ScaleDownStabilized" });
    for (let i = 0; i < 19; i++) expect(await look()).toBe(4);
    expect(await look()).toBe(1);
    expect(world.events.at(-1)).toContain("All metrics below target");
  });

  test("bounds hold, whatever the metric says", async () => {
    hpa({ metrics: [utilization(10)], maxReplicas: 5 });
    workload([100, 100, 100]);
    expect(await look()).toBe(5);
    expect(condition("ScalingLimited")).toMatchObject({
      status: "True",
      reason: "TooManyReplicas",
    });
    hpa({ metrics: [utilization(10)], minReplicas: 7, maxReplicas: 9 });
    expect(await look()).toBe(7);
    hpa({ metrics: [utilization(10)], maxReplicas: 2 });
    expect(await look()).toBe(2);
  });

  test("a target at zero is left at zero", async () => {
    hpa();
    workload([]);
    expect(await look()).toBe(0);
    expect(condition("ScalingActive")).toMatchObject({
      status: "False",
      reason: "ScalingDisabled",
    });
  });

  test("pods that start are not counted for growing", async () => {
    hpa({ metrics: [utilization(50)] });
    workload([100, 100, 0, 0]);
    const startTime = new Date(world.now - 10_000).toISOString();
    for (const name of ["p2", "p3"]) {
      const conditions = [{ type: "Ready", status: "False", lastTransitionTime: startTime }];
      world.change(pods, `x/${name}`, { status: { startTime, conditions } });
    }
    expect(await look()).toBe(4);
  });

  test("pods without a metric hold a scale-down back", async () => {
    hpa({ metrics: [utilization(50)], behavior: { scaleDown: { stabilizationWindowSeconds: 0 } } });
    workload([10, 10, 10, 10]);
    delete cpu["p2"];
    delete cpu["p3"];
    expect(await look()).toBe(4);
    cpu["p2"] = 10;
    cpu["p3"] = 10;
    expect(await look()).toBe(1);
  });
});

describe("other metrics", () => {
  test("the one that asks for most wins", async () => {
    answers["/apis/external.metrics.k8s.io/v1beta1/namespaces/x/queue?labelSelector=q%3Da"] = {
      items: [{ value: "40" }, { value: "20" }],
    };
    const selector = { matchLabels: { q: "a" } };
    const metric = { name: "queue", selector };
    const target = { type: "AverageValue", averageValue: "10" };
    hpa({ metrics: [utilization(50), { type: "External", external: { metric, target } }] });
    workload([50, 50]);
    expect(await look()).toBe(6);
    expect(world.events[0]).toContain("external metric queue");
  });

  test("of an object, as a value", async () => {
    answers["/apis/custom.metrics.k8s.io/v1beta2/namespaces/x/services/front/hits"] = {
      items: [{ value: "3k" }],
    };
    const describedObject = { apiVersion: "v1", kind: "Service", name: "front" };
    const object = {
      describedObject,
      metric: { name: "hits" },
      target: { type: "Value", value: "1k" },
    };
    hpa({ metrics: [{ type: "Object", object }] });
    workload([0, 0]);
    expect(await look()).toBe(6);
  });

  test("of pods, by their mean", async () => {
    answers[
      "/apis/custom.metrics.k8s.io/v1beta2/namespaces/x/pods/*/hits?labelSelector=app%3Dweb"
    ] = {
      items: ["p0", "p1"].map((name) => ({ describedObject: { name }, value: "20" })),
    };
    const target = { type: "AverageValue", averageValue: "10" };
    hpa({ metrics: [{ type: "Pods", pods: { metric: { name: "hits" }, target } }] });
    workload([0, 0]);
    expect(await look()).toBe(4);
  });
});

describe("what cannot be told", () => {
  test("a missing metrics API is said, and nothing is scaled", async () => {
    hpa({ metrics: [utilization(50)] });
    workload([100]);
    answers["/apis/metrics.k8s.io/v1beta1/namespaces/x/pods?labelSelector=app%3Dweb"] = {
      items: [],
    };
    expect(await look()).toBe(1);
    expect(condition("ScalingActive")).toMatchObject({
      status: "False",
      reason: "FailedGetResourceMetric",
    });
  });

  test("a metric that fails beside one that asks for less takes nothing away", async () => {
    const external = { metric: { name: "nowhere" }, target: { type: "Value", value: "1" } };
    const behavior = { scaleDown: { stabilizationWindowSeconds: 0 } };
    hpa({ behavior, metrics: [utilization(50), { type: "External", external }] });
    workload([10, 10, 10]);
    expect(await look()).toBe(3);
    workload([100, 100, 100]);
    expect(await look()).toBe(6);
  });

  test("a target that is not there is said", async () => {
    hpa({ scaleTargetRef: { apiVersion: "x.io/v1", kind: "Thing", name: "t" } });
    await look();
    expect(condition("AbleToScale")).toMatchObject({ status: "False", reason: "FailedGetScale" });
  });
});

test("use that hardly changes is not written again", async () => {
  hpa({ metrics: [utilization(50)] });
  workload([50, 50]);
  await look();
  await look();
  const { writes } = world;
  cpu = { p0: 51, p1: 50 };
  await look();
  expect(world.writes).toBe(writes);
  cpu = { p0: 60, p1: 50 };
  await look();
  expect(world.writes).toBe(writes + 1);
});

describe("behaviour", () => {
  const bounds = (
    current: number,
    desired: number,
    more: HorizontalPodAutoscalerBehavior = {},
  ): Bounds => ({
    current,
    desired,
    min: 1,
    max: 100,
    scaleUp: more.scaleUp,
    scaleDown: more.scaleDown,
  });
  const none = { recommendations: [], changes: [] };
  const now = 1_000_000;

  test("grows to the double or by four in fifteen seconds, whichever is more", () => {
    expect(behave(bounds(1, 50), none, now).replicas).toBe(5);
    expect(behave(bounds(20, 50), none, now).replicas).toBe(40);
    const changes = [{ atMs: now - 5000, by: 10 }];
    expect(behave(bounds(20, 50), { ...none, changes }, now).replicas).toBe(20);
    expect(behave(bounds(20, 50), none, now).limited).toMatchObject({ reason: "ScaleUpLimit" });
  });

  test("follows its own policies, by the least where it says so, or not at all", () => {
    const policies = [
      { type: "Pods", value: 1, periodSeconds: 60 },
      { type: "Percent", value: 50, periodSeconds: 60 },
    ];
    const down = (selectPolicy: string) => ({
      scaleDown: { stabilizationWindowSeconds: 0, policies, selectPolicy },
    });
    expect(behave(bounds(20, 1, down("Max")), none, now).replicas).toBe(10);
    expect(behave(bounds(20, 1, down("Min")), none, now).replicas).toBe(19);
    expect(behave(bounds(20, 1, down("Disabled")), none, now).replicas).toBe(20);
  });

  test("takes the lowest recent wish upwards where it has a window", () => {
    const scaleUp = { stabilizationWindowSeconds: 60 };
    const recommendations = [{ atMs: now - 30_000, replicas: 12 }];
    const history = { ...none, recommendations };
    expect(behave(bounds(10, 15, { scaleUp }), history, now).replicas).toBe(12);
    expect(behave(bounds(10, 15), history, now).replicas).toBe(15);
  });

  test("property: always within its bounds, and never against the wish", () => {
    const count = fc.integer({ min: 1, max: 60 });
    const past = fc.array(fc.record({ atMs: fc.integer({ min: 0, max: 400 }), replicas: count }));
    fc.assert(
      fc.property(count, count, past, (current, desired, list) => {
        const recommendations = list.map((one) => ({ ...one, atMs: now - one.atMs * 1000 }));
        const history = { recommendations, changes: [] };
        const { replicas } = behave(bounds(current, desired), history, now);
        expect(replicas).toBeGreaterThanOrEqual(Math.min(current, desired, 1));
        expect(replicas).toBeLessThanOrEqual(
          Math.max(current, desired, ...list.map((one) => one.replicas)),
        );
        if (list.length === 0 && desired > current) expect(replicas).toBeGreaterThan(current);
        if (list.length === 0 && desired < current) expect(replicas).toBeLessThanOrEqual(current);
      }),
    );
  });
});
