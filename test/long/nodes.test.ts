/**
 * How fast nodes come, go, come back and follow their server, FIGURES_ROUNDS times (default 3) on
 * three lab nodes, each figure beside its floor: `bun run bench:nodes`.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { median } from "#test/bench/statistics.ts";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, BRAMBLE, until } from "#test/support/lab.ts";
import { isReady, type PodJson, podsOf, stateProblems } from "#test/support/nodestate.ts";
import { webImage } from "#test/support/webimage.ts";

const ROUNDS = Number(process.env["FIGURES_ROUNDS"] ?? 3);
const NODES = ["n1", "n2", "n3"];
const REPLICAS = 4;
const LIMIT_MS = 60_000;
const OTHER_ADDRESS = "192.168.77.77";
/** The most that each may take, in milliseconds. */
const FLOORS: Readonly<Record<string, number>> = {
  "device with a token only, started -> joined and Ready": 3_000,
  "power cut of a node -> its pods Ready on others": 20_000,
  "boot of the node -> Ready, nothing stale or twice": 5_000,
  "another address of the server -> all agents connected": 15_000,
};
const [JOINED, REPLACED, BACK, FOLLOWED] = Object.keys(FLOORS) as [string, string, string, string];
const took = new Map<string, number[]>();
let cluster: LabCluster;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-nodes-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: NODES.length, dir, images: [image] });
  await cluster.startServer();
  await cluster.startAgent("n2");
  await cluster.readyNodes(2, LIMIT_MS);
  await cluster.kubectl("create", "-f", join(import.meta.dir, "../cluster/web.yaml"));
  await until("all is well", LIMIT_MS, allWell);
}, 180_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
});

/** Waits for the condition and notes how long that was since `started`. */
async function measured(what: string, started: number, probe: () => Promise<boolean>) {
  await until(what, LIMIT_MS, () => probe().catch(() => false));
  took.set(what, [...(took.get(what) ?? []), performance.now() - started]);
}

async function nodeIsReady(node: string): Promise<boolean> {
  const path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
  return (await cluster.kubectl("get", "node", node, "--ignore-not-found", "-o", path)) === "True";
}

const living = (pods: readonly PodJson[]) =>
  pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);

async function allWell(): Promise<boolean> {
  const pods = await podsOf(cluster);
  if (pods.length !== REPLICAS || !pods.every(isReady)) return false;
  const on = new Set(pods.map(({ spec }) => spec.nodeName ?? ""));
  const wrong = await Promise.all([...on].map((node) => stateProblems(cluster, node, pods)));
  return wrong.flat().length === 0;
}

/** The device forgets all, and the cluster the device; then it joins anew. */
async function join3(): Promise<void> {
  await cluster.stop("n3");
  await cluster.lab.exec("n3", BRAMBLE, "delete");
  await cluster.lab.must("n3", "test", "!", "-e", "/var/lib/bramble/node");
  await cluster.lab.must(
    "n3",
    "nerdctl",
    "-n",
    "bramble",
    "load",
    "-q",
    "-i",
    join(dir, "web.tar"),
  );
  await cluster.lab.exec("n1", BRAMBLE, "node", "remove", "n3");
  const started = performance.now();
  await cluster.startAgent("n3");
  await measured(JOINED, started, () => nodeIsReady("n3"));
}

/** On both agents, whatever was placed where before. */
async function spread(): Promise<void> {
  await cluster.kubectl("rollout", "restart", "deployment/web");
  await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=60s");
  await until("pods run on n2, and all is well", LIMIT_MS, async () => {
    const pods = await podsOf(cluster);
    return pods.some(({ spec }) => spec.nodeName === "n2") && allWell();
  });
}

async function cutAndBoot(): Promise<void> {
  const cut = performance.now();
  await cluster.lab.cut("n2");
  await measured(REPLACED, cut, async () => {
    const pods = living(await podsOf(cluster)).filter(isReady);
    return pods.length === REPLICAS && pods.every(({ spec }) => spec.nodeName !== "n2");
  });
  await cluster.lab.boot("n2");
  const booted = performance.now();
  await cluster.startAgent("n2");
  await measured(BACK, booted, async () => {
    if (!(await nodeIsReady("n2"))) return false;
    const pods = await podsOf(cluster);
    return pods.length === REPLICAS && (await stateProblems(cluster, "n2", pods)).length === 0;
  });
}

/** A command in a pod of a node goes through the node's tunnel. */
async function moveServer(address: string): Promise<void> {
  await spread();
  const pods = await podsOf(cluster);
  const probes = NODES.slice(1).map((node) => pods.find(({ spec }) => spec.nodeName === node));
  await cluster.lab.renumber("n1", address);
  cluster.serverAt(address);
  const started = performance.now();
  await measured(FOLLOWED, started, async () => {
    const names = probes.flatMap((pod) => pod?.metadata.name ?? []);
    const flags = ["--request-timeout", "2s"];
    const asks = names.map((name) => cluster.kubectl("exec", ...flags, name, "--", "true"));
    await Promise.all(asks);
    return names.length > 0;
  });
}

test(`nodes come, go and follow, ${ROUNDS} times`, async () => {
  for (let round = 0; round < ROUNDS; round++) {
    await join3();
    await spread();
    await cutAndBoot();
    await moveServer(round % 2 === 0 ? OTHER_ADDRESS : addressOf("n1"));
    await cluster.readyNodes(NODES.length, LIMIT_MS);
  }
  for (const [what, floor] of Object.entries(FLOORS)) {
    const times = took.get(what) ?? [];
    const [middle, most] = [median(times), Math.max(...times)].map((ms) => (ms / 1_000).toFixed(1));
    console.log(`${what}: ${middle} s, at most ${most} s (floor ${floor / 1_000} s)`);
  }
  for (const [what, floor] of Object.entries(FLOORS)) {
    expect(median(took.get(what) ?? []), what).toBeLessThanOrEqual(floor);
  }
}, 3_600_000);
