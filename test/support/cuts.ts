/** Random power cuts and partitions; after each one everything must come right by itself. */
import { afterAll, beforeAll, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, until } from "#test/support/lab.ts";
import { isReady, podsOf, stateProblems } from "#test/support/nodestate.ts";
import { seededRandom } from "#test/support/random.ts";
import { webImage } from "#test/support/webimage.ts";

export interface CutsOptions {
  nodes: number;
  rounds: number;
  /** Of what happens to which node, and for how long. */
  seed: number;
  /** A node is away for less than this. */
  awayMsMax: number;
}

const MANIFEST = join(import.meta.dir, "../long/cuts.yaml");
/** Setting up; and, of each round, all but the waits that have limits of their own. */
const START_MS_MAX = 180_000;
const CONVERGED_MS_MAX = 90_000;
const WRITE_EVERY_MS = 200;
let cluster: LabCluster;
let dir: string;
let nodes: readonly string[] = [];
/** Names of ConfigMaps whose creation was acknowledged. */
const acknowledged = new Set<string>();

async function start(): Promise<void> {
  dir = mkdtempSync(join(tmpdir(), "bramble-cuts-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: nodes.length, dir, images: [image] });
  await cluster.startServer();
  for (const node of nodes.slice(1)) await cluster.startAgent(node);
  await cluster.readyNodes(nodes.length, 60_000);
  await cluster.kubectl("create", "-f", MANIFEST);
  await converged("at the start");
}

async function end(): Promise<void> {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
}

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** What is wrong with the cluster now; empty: nothing. */
async function problems(): Promise<string[]> {
  const wrong: string[] = [];
  const all = await podsOf(cluster);
  const web = all.filter(({ metadata }) => metadata.labels.app === "web");
  if (web.length !== 4 || !web.every(isReady)) wrong.push(`${web.filter(isReady).length} web pods`);
  const each = all.filter(({ metadata }) => metadata.labels.app === "each");
  if (each.length !== nodes.length || !each.every(isReady)) wrong.push("not one pod on each node");
  const ips = all.map(({ status }) => status.podIP);
  if (new Set(ips).size !== all.length) wrong.push(`pods share addresses: ${ips.join()}`);
  for (const node of nodes) {
    wrong.push(...(await stateProblems(cluster, node, all)));
    const url = `http://${addressOf(node)}:30080/`;
    const script = `for i in 1 2 3 4 5 6 7 8; do curl -fsS --max-time 2 ${url} || echo LOST; done`;
    const { stdout, stderr } = await cluster.lab.exec("lan", "sh", "-c", script);
    if (stdout.includes("LOST")) wrong.push(`requests by ${node} were lost: ${stderr}`);
  }
  const kept = await cluster.kubectl("get", "configmaps", "-o", "name");
  const names = new Set(lines(kept).map((line) => line.replace("configmap/", "")));
  const lost = [...acknowledged].filter((name) => !names.has(name));
  if (lost.length > 0) wrong.push(`acknowledged writes are lost: ${lost.join()}`);
  return wrong;
}

async function converged(when: string): Promise<void> {
  let wrong: string[] = [];
  await until(`all is well ${when}`, CONVERGED_MS_MAX, async () => {
    wrong = await problems().catch((error: unknown) => [String(error).slice(0, 300)]);
    return wrong.length === 0;
  }).catch((cause: unknown) => {
    throw new Error(`${when}: ${wrong.join("; ")}`, { cause });
  });
}

/** Writes until told to end, and remembers what was acknowledged. */
function writer(round: number): () => Promise<void> {
  let ended = false;
  const work = (async () => {
    for (let i = 0; !ended; i++) {
      const name = `w-${round}-${i}`;
      try {
        const flags = ["--request-timeout", "3s"];
        await cluster.kubectl("create", "configmap", name, ...flags);
        acknowledged.add(name);
      } catch {
        // The server is away: that is the point of it.
      }
      await Bun.sleep(WRITE_EVERY_MS);
    }
  })();
  return () => {
    ended = true;
    return work;
  };
}

async function powerCut(node: string, awayMs: number): Promise<void> {
  await cluster.lab.cut(node);
  await Bun.sleep(awayMs);
  await cluster.lab.boot(node);
  if (node === "n1") await cluster.startServer();
  else await cluster.startAgent(node);
}

async function partition(node: string, awayMs: number): Promise<void> {
  await cluster.lab.partition(node);
  await Bun.sleep(awayMs);
  await cluster.lab.heal(node);
}

interface Cut {
  node: string;
  what: "cut" | "partition";
  awayMs: number;
}

/** What a seed has in store. */
function drawn({ rounds, seed, awayMsMax }: CutsOptions): Cut[] {
  const random = seededRandom(seed);
  return Array.from({ length: rounds }, () => {
    const node = nodes[Math.floor(random.next() * nodes.length)] ?? "n1";
    const awayMs = Math.floor(random.next() * awayMsMax);
    return { node, awayMs, what: random.next() < 0.6 ? "cut" : "partition" };
  });
}

async function round(at: number, { node, what, awayMs }: Cut): Promise<void> {
  const stop = writer(at);
  const started = performance.now();
  try {
    await (what === "cut" ? powerCut : partition)(node, awayMs);
  } finally {
    await stop();
  }
  const actedMs = performance.now() - started;
  await converged(`after round ${at} (${what} of ${node} for ${awayMs} ms)`);
  const tookMs = Math.round(performance.now() - started - actedMs);
  console.log(`${at}: ${what} of ${node} for ${awayMs} ms, well again after ${tookMs} ms`);
}

/** Defines the test; what it needs is set up and taken down around it. */
export function testCuts(options: CutsOptions): void {
  const { rounds, seed, awayMsMax } = options;
  nodes = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`);
  beforeAll(start, START_MS_MAX);
  afterAll(end, START_MS_MAX);
  const limitMs = rounds * (awayMsMax + 2 * CONVERGED_MS_MAX);
  test(
    `${rounds} power cuts and partitions of ${options.nodes} nodes, seed ${seed}`,
    async () => {
      for (const [at, cut] of drawn(options).entries()) await round(at + 1, cut);
    },
    limitMs,
  );
}
