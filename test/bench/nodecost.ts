/** What an agent and its pods cost, and how soon a dead container runs again. */
import { realClock, sleep } from "#base/clock.ts";
import { removePods, scalePods, startPods } from "#test/bench/idle.ts";
import { imageOf } from "#test/bench/image.ts";
import { cpuSeconds, memory, processesWith } from "#test/bench/process.ts";
import { ask, type Target } from "#test/bench/server.ts";
import { median } from "#test/bench/statistics.ts";
import type { PrivateContainerd } from "#test/support/containerd.ts";

export interface NodeCost {
  readonly agentPssMb: number;
  /** Growth of agent, containerd and shims by each pod, without the pod's own processes. */
  readonly podPssMb: number;
  readonly shimPssMb: number;
  /** Until 110 pods, from 30, were ready. */
  readonly fullSeconds: number;
  /** Of one core, with 110 pods. */
  readonly cpuPercent: number;
  readonly idleSeconds: number;
  readonly restartMs: number;
  /** Of one core, with 100 pods that are asked by HTTP and by TCP once a second. */
  readonly probesCpuPercent: number;
}

export interface AgentUnderTest {
  server: Target;
  agentPid: number;
  containerd: PrivateContainerd;
  idleSeconds: number;
}

const PODS = 30;
const PODS_MAX = 110;
const SETTLE_MS = 8_000;
const PROBED_PODS = 100;
const PROBES_MS = 15_000;
const RESTARTS = 5;
const RESTART_MS_MAX = 20_000;
const PODS_PATH = "/api/v1/namespaces/default/pods";

/** A long run that is broken off has told what it knew. */
const tell = (figures: object): void => console.error(`… ${JSON.stringify(figures)}`);

const pssMb = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + memory(pid).pssMb, 0);

interface PodView {
  status?: { containerStatuses?: Array<{ restartCount: number; ready: boolean }> };
}

async function statusOf(server: Target, name: string) {
  const answer = await ask(server, `${PODS_PATH}/${name}`);
  const pod = (await answer?.json()) as PodView | undefined;
  return pod?.status?.containerStatuses?.[0];
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + RESTART_MS_MAX;
  while (performance.now() < end) {
    if (await check()) return;
    await sleep(realClock, 5);
  }
  throw new Error(`${what} took too long`);
}

/** Milliseconds from the death of a container's process until the API shows its next run. */
async function restartOnce(server: Target, round: number): Promise<number> {
  const name = `restart-${round}`;
  // A number that no other process sleeps for.
  const mark = `${700_000 + (process.pid % 100_000) + round}`;
  const { name: image } = await imageOf();
  const container = { name: "c", image, imagePullPolicy: "Never", command: ["sleep", mark] };
  const spec = { terminationGracePeriodSeconds: 0, containers: [container] };
  const body = JSON.stringify({ metadata: { name }, spec });
  const headers = { "content-type": "application/json" };
  const made = await ask(server, PODS_PATH, { method: "POST", body, headers });
  if (made?.ok !== true) throw new Error(`no pod: ${await made?.text()}`);
  await until("the pod's start", async () => (await statusOf(server, name))?.ready === true);
  const [pid] = processesWith(`sleep ${mark}`);
  if (pid === undefined) throw new Error("the pod's process was not found");
  const start = performance.now();
  process.kill(pid, "SIGKILL");
  await until("the restart", async () => {
    const status = await statusOf(server, name);
    return status?.restartCount === 1 && status.ready;
  });
  const took = performance.now() - start;
  await ask(server, `${PODS_PATH}/${name}`, { method: "DELETE" });
  return took;
}

async function measureProbes(server: Target, agentPid: number): Promise<number> {
  await startPods(server, PROBED_PODS, {
    readinessProbe: { httpGet: { path: "/", port: 8080 }, periodSeconds: 1 },
    livenessProbe: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  });
  await sleep(realClock, SETTLE_MS);
  const cpu = cpuSeconds(agentPid);
  await sleep(realClock, PROBES_MS);
  return ((cpuSeconds(agentPid) - cpu) / (PROBES_MS / 1000)) * 100;
}

export async function measureAgent(options: AgentUnderTest): Promise<NodeCost> {
  const { server, agentPid, containerd, idleSeconds } = options;
  const shims = () => processesWith("containerd-shim", containerd.address);
  const all = () => pssMb([agentPid, containerd.pid(), ...shims()]);
  await startPods(server, 1);
  await sleep(realClock, SETTLE_MS);
  const before = all();
  await scalePods(server, PODS);
  await sleep(realClock, SETTLE_MS);
  const agentPssMb = pssMb([agentPid]);
  const podPssMb = (all() - before) / (PODS - 1);
  const shimPssMb = pssMb(shims()) / PODS;
  tell({ agentPssMb, podPssMb, shimPssMb });
  const restarts: number[] = [];
  for (let round = 0; round < RESTARTS; round++) restarts.push(await restartOnce(server, round));
  const start = performance.now();
  await scalePods(server, PODS_MAX);
  const fullSeconds = (performance.now() - start) / 1000;
  await sleep(realClock, SETTLE_MS);
  const cpu = cpuSeconds(agentPid);
  await sleep(realClock, idleSeconds * 1000);
  const cpuPercent = ((cpuSeconds(agentPid) - cpu) / idleSeconds) * 100;
  tell({ restarts, fullSeconds, cpuPercent });
  await removePods(server);
  const probesCpuPercent = await measureProbes(server, agentPid);
  const restartMs = median(restarts);
  const cpus = { cpuPercent, idleSeconds, probesCpuPercent };
  return { agentPssMb, podPssMb, shimPssMb, fullSeconds, restartMs, ...cpus };
}
