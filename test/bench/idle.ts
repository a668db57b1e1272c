/** What the one process costs while nothing happens, with pods that run. */
import { realClock, sleep } from "#base/clock.ts";
import { imageOf } from "#test/bench/image.ts";
import { cpuSeconds, memory, writtenBytes } from "#test/bench/process.ts";
import { ask, type BenchServer, type Target } from "#test/bench/server.ts";

export interface Idle {
  readonly pods: number;
  readonly seconds: number;
  readonly rssMb: number;
  readonly pssMb: number;
  /** Share of one core. */
  readonly cpuPercent: number;
  /** Of the process and the programs that it ran, as the kernel counts them for the disk. */
  readonly writtenBytes: number;
  readonly writtenMbPerDay: number;
}

const SETTLE_MS = 30_000;
const READY_MS_MAX = 180_000;
const DAY_SECONDS = 86_400;

const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";

const SLEEPING = { command: ["sleep", "100000"] };

/** Of so many pods; `container`: its image and what it does. */
export const idleDeployment = (replicas: number, container: object) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "idle" },
  spec: {
    replicas,
    selector: { matchLabels: { app: "idle" } },
    template: {
      metadata: { labels: { app: "idle" } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "c", imagePullPolicy: "Never", ...container }],
      },
    },
  },
});

/** A Deployment of so many pods, which do nothing else told; resolves when all are ready. */
export async function startPods(
  server: Target,
  count: number,
  container: object = SLEEPING,
): Promise<void> {
  const { name: image } = await imageOf();
  const text = JSON.stringify(idleDeployment(count, { image, ...container }));
  const headers = { "content-type": "application/json" };
  const made = await ask(server, DEPLOYMENTS, { method: "POST", body: text, headers });
  if (made?.ok !== true) throw new Error(`no idle pods: ${await made?.text()}`);
  await readyPods(server, count);
}

async function readyPods(server: Target, count: number): Promise<void> {
  const end = performance.now() + READY_MS_MAX;
  while (performance.now() < end) {
    const answer = await ask(server, `${DEPLOYMENTS}/idle`);
    const body = (await answer?.json()) as { status?: { readyReplicas?: number } } | undefined;
    if (body?.status?.readyReplicas === count) return;
    await sleep(realClock, 100);
  }
  throw new Error(`${count} idle pods did not become ready`);
}

/** The Deployment of `startPods` goes, and its pods. */
export async function removePods(server: Target): Promise<void> {
  await ask(server, `${DEPLOYMENTS}/idle`, { method: "DELETE" });
  const end = performance.now() + READY_MS_MAX;
  while (performance.now() < end) {
    const answer = await ask(server, "/api/v1/namespaces/default/pods");
    const body = (await answer?.json()) as { items?: unknown[] } | undefined;
    if (body?.items?.length === 0) return;
    await sleep(realClock, 100);
  }
  throw new Error("the idle pods did not go");
}

/** From `startPods` to another number of pods. */
export async function scalePods(server: Target, count: number): Promise<void> {
  const body = JSON.stringify({ spec: { replicas: count } });
  const headers = { "content-type": "application/merge-patch+json" };
  const done = await ask(server, `${DEPLOYMENTS}/idle`, { method: "PATCH", body, headers });
  if (done?.ok !== true) throw new Error(`pods not scaled: ${await done?.text()}`);
  await readyPods(server, count);
}

export async function measureIdle(
  server: BenchServer,
  options: { pods: number; seconds: number },
): Promise<Idle> {
  const { pods, seconds } = options;
  const { pid } = server;
  await startPods(server, pods);
  await sleep(realClock, SETTLE_MS);
  const before = { cpu: cpuSeconds(pid), written: writtenBytes(pid) };
  await sleep(realClock, seconds * 1000);
  const written = writtenBytes(pid) - before.written;
  return {
    pods,
    seconds,
    ...memory(pid),
    cpuPercent: ((cpuSeconds(pid) - before.cpu) / seconds) * 100,
    writtenBytes: written,
    writtenMbPerDay: ((written / seconds) * DAY_SECONDS) / 1e6,
  };
}
