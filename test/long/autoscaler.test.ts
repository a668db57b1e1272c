/**
 * An autoscaler's `behavior` on real pods and their real CPU: one pod more, and one less, each 40 s
 * at most, and none less within the stabilization window
 * (https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/, scaling behavior).
 *
 *   bun test --timeout 1200000 ./test/long/autoscaler.test.ts
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { autoscaledManifest } from "#test/e2e/autoscaled.ts";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";

const PERIOD_S = 40;
const WINDOW_S = 60;
/** Autoscalers look this often: the last wish for more may be so much older than the load's end. */
const LOOK_S = 15;
/** Replicas are asked for by kubectl, twice a second. */
const SLACK_S = 2;
/** CPU of a pod that has just started is not believed at first. */
const STEP_MS_MAX = 400_000;
let cluster: Instance;

/** Pods work while their file is there. */
const worker = autoscaledManifest({
  name: "worker",
  script: "touch /tmp/busy; while true; do [ -e /tmp/busy ] || sleep 1; done",
  behavior: `
    scaleUp:
      policies: [{type: Pods, value: 1, periodSeconds: ${PERIOD_S}}]
    scaleDown:
      stabilizationWindowSeconds: ${WINDOW_S}
      policies: [{type: Pods, value: 1, periodSeconds: ${PERIOD_S}}]`,
});

beforeAll(async () => {
  cluster = await startInstance({ name: "autoscaler", images: ["1"] });
  await cluster.apply(worker);
  await cluster.must("rollout", "status", "deployment/worker", "--timeout=120s");
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

/** When the Deployment was first seen with so many; it must not have had `never` on the way. */
async function reaches(replicas: number, never: number): Promise<number> {
  const seen = new Set<number>();
  const atMs = await eventually(`${replicas} replicas`, STEP_MS_MAX, async () => {
    const path = "jsonpath={.spec.replicas}";
    const now = Number(await cluster.must("get", "deployment/worker", "-o", path));
    seen.add(now);
    return now === replicas ? performance.now() : undefined;
  });
  expect([...seen]).not.toContain(never);
  return atMs;
}

async function rest(): Promise<void> {
  const names = await cluster.must("get", "pods", "-l", "app=worker", "-o", "name");
  for (const name of names.trim().split("\n"))
    await cluster.must("exec", name, "--", "rm", "/tmp/busy");
}

test("pods come and go one by one, and none goes within the window", async () => {
  const two = await reaches(2, 3);
  const three = await reaches(3, 1);
  await cluster.must("rollout", "status", "deployment/worker", "--timeout=120s");
  await rest();
  const restMs = performance.now();
  const backToTwo = await reaches(2, 1);
  const backToOne = await reaches(1, 3);
  const seconds = [three - two, backToTwo - restMs, backToOne - backToTwo].map((ms) => ms / 1_000);
  console.log(`up again, down, and down again after ${seconds.map((s) => s.toFixed(1))} s`);
  const [up = 0, down = 0, downAgain = 0] = seconds;
  expect(up).toBeGreaterThanOrEqual(PERIOD_S - SLACK_S);
  expect(down).toBeGreaterThanOrEqual(WINDOW_S - LOOK_S);
  expect(downAgain).toBeGreaterThanOrEqual(PERIOD_S - SLACK_S);
}, 1_200_000);
