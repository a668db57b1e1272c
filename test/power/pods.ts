/**
 * True power cuts during and after pulls and starts of pods: whatever the moment, every pod of the
 * API must come back by itself, with every file of its image as it was made.
 *
 *   bun run test:power-pods [--cuts 20] [--seed N]
 *
 * About 45 seconds a cut on two cores. The last line is a summary in JSON; status 1 if a pod is
 * missing. Each cut comes at another moment after a Deployment of a new image was acknowledged: the
 * image is asked for, fetched, unpacked, synced, or its pods start or run.
 */
import { parseArgs } from "node:util";
import { realClock, sleep } from "#base/clock.ts";
import { imageName, Machine } from "#test/power/machine.ts";
import { eventually } from "#test/support/instance.ts";
import { seededRandom } from "#test/support/random.ts";

const READY_MS_MAX = 120_000;
const BACK_MS_MAX = 180_000;
/** From the acknowledged Deployment to the cut; a new pod runs after about half of it. */
const CUT_MS_MAX = 16_000;
/** Deployments that are kept; older ones go, so that memory does not fill. */
const KEPT = 3;
const REPLICAS = 2;

const { values: flags } = parseArgs({
  options: { cuts: { type: "string", default: "20" }, seed: { type: "string" } },
});
const cuts = Number(flags.cuts);
const seed = Number(flags.seed ?? Date.now() % 1e9);

const deployment = (tag: number): string => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: p${tag}}
spec:
  replicas: ${REPLICAS}
  selector: {matchLabels: {app: p${tag}}}
  template:
    metadata: {labels: {app: p${tag}, kind: power}}
    spec:
      terminationGracePeriodSeconds: 0
      automountServiceAccountToken: false
      containers:
      - {name: main, image: "${imageName(tag)}", imagePullPolicy: IfNotPresent}
`;

interface PodView {
  name: string;
  phase: string;
  ready: boolean;
  restarts: number;
  waiting: string;
  containerId: string;
}

interface PodJson {
  metadata: { name: string };
  status: {
    phase: string;
    conditions?: Array<{ type: string; status: string }>;
    containerStatuses?: Array<{
      restartCount: number;
      state: { waiting?: { reason: string } };
      containerID?: string;
    }>;
  };
}

async function podsOf(machine: Machine): Promise<PodView[]> {
  const { items } = JSON.parse(
    await machine.kubectl(["get", "pods", "-l", "kind=power", "-o", "json"]),
  ) as { items: PodJson[] };
  return items.map(({ metadata, status }) => ({
    name: metadata.name,
    phase: status.phase,
    ready: status.conditions?.some((c) => c.type === "Ready" && c.status === "True") === true,
    restarts: status.containerStatuses?.[0]?.restartCount ?? 0,
    waiting: status.containerStatuses?.[0]?.state.waiting?.reason ?? "",
    containerId: status.containerStatuses?.[0]?.containerID ?? "",
  }));
}

/**
 * Every pod that the API should have is there and ready, in a container that is not one of those
 * before the cut: until the node has looked, the API shows the pods as they were.
 */
async function allBack(
  machine: Machine,
  wanted: number,
  before: ReadonlySet<string>,
): Promise<PodView[] | undefined> {
  const pods = await podsOf(machine);
  const back = pods.every(({ ready, containerId }) => ready && !before.has(containerId));
  return pods.length === wanted && back ? pods : undefined;
}

async function checkFiles(machine: Machine, pods: readonly PodView[]): Promise<void> {
  for (const { name } of pods) {
    const log = await machine.kubectl(["logs", name]);
    if (!log.includes("whole")) throw new Error(`${name} has broken files: ${log}`);
  }
}

async function waitForApi(machine: Machine): Promise<void> {
  await eventually("the server is ready", READY_MS_MAX, async () => {
    return (await machine.kubectl(["get", "--raw", "/readyz"])) === "ok";
  });
}

const began = performance.now();
const say = (text: string): void => console.error(`${seconds(performance.now() - began)}: ${text}`);

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

async function oneCut(machine: Machine, tag: number, afterMs: number): Promise<boolean> {
  await machine.kubectl(["apply", "-f", "-"], deployment(tag));
  if (tag >= KEPT) {
    await machine.kubectl(["delete", "deployment", `p${tag - KEPT}`, "--wait=false"]);
  }
  await sleep(realClock, afterMs);
  const before = await podsOf(machine).catch(() => []);
  await machine.cut();
  const start = performance.now();
  await machine.boot();
  await waitForApi(machine);
  const wanted = REPLICAS * Math.min(KEPT, tag + 1);
  const state = before
    .map(({ phase, waiting, ready }) => (ready ? "Ready" : waiting || phase))
    .join(" ");
  const ids = new Set(before.map(({ containerId }) => containerId));
  try {
    const look = () => allBack(machine, wanted, ids);
    const pods = await eventually("all pods are back", BACK_MS_MAX, look);
    await checkFiles(machine, pods);
    const took = seconds(performance.now() - start);
    say(`cut ${tag} after ${seconds(afterMs)} (${state}): ${pods.length} pods in ${took}`);
    return true;
  } catch (error) {
    const pods = JSON.stringify(await podsOf(machine).catch(String));
    console.error(`cut ${tag} after ${seconds(afterMs)} (${state}): ${error}\n${pods}`);
    console.error(await machine.log());
    return false;
  }
}

const random = seededRandom(seed);
say(`seed ${seed}: making ${cuts} images and a machine`);
const machine = await Machine.make(cuts);
let failed = 0;
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, async () => {
    console.error(await machine.log());
    await machine.close().finally(() => process.exit(1));
  });
}
try {
  say("the machine is on");
  await eventually("a kubeconfig", READY_MS_MAX, async () => {
    await machine.takeKubeconfig();
    return true;
  });
  await waitForApi(machine);
  say("the server is ready");
  for (let tag = 0; tag < cuts; tag++) {
    if (!(await oneCut(machine, tag, random.next() * CUT_MS_MAX))) failed++;
  }
} catch (error) {
  console.error(await machine.log());
  throw error;
} finally {
  await machine.close();
}
console.log(JSON.stringify({ cuts, seed, failed }));
process.exit(failed === 0 ? 0 : 1);
