/**
 * Random power cuts and partitions of a cluster of LONG_NODES nodes (default 5); after each one
 * everything must come right by itself: `bun run test:cuts`. LONG_ROUNDS (default 50) and LONG_SEED
 * say how many, and which.
 */
import { afterAll, beforeAll, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, until } from "#test/support/lab.ts";
import { isReady, podsOf, stateProblems } from "#test/support/nodestate.ts";
import { seededRandom } from "#test/support/random.ts";
import { webImage } from "#test/support/webimage.ts";

const ROUNDS = Number(process.env["LONG_ROUNDS"] ?? 50);
const SEED = Number(process.env["LONG_SEED"] ?? Date.now() % 1_000_000);
const NODES = Array.from({ length: Number(process.env["LONG_NODES"] ?? 5) }, (_, i) => `n${i + 1}`);
const CONVERGED_MS_MAX = 90_000;
const AWAY_MS_MAX = 12_000;
const WRITE_EVERY_MS = 200;
const random = seededRandom(SEED);
let cluster: LabCluster;
let dir: string;
/** Names of ConfigMaps whose creation was acknowledged. */
const acknowledged = new Set<string>();

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-cuts-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: NODES.length, dir, images: [image] });
  await cluster.startServer();
  for (const node of NODES.slice(1)) await cluster.startAgent(node);
  await cluster.readyNodes(NODES.length, 30_000);
  await cluster.kubectl("create", "-f", join(import.meta.dir, "cuts.yaml"));
  await converged("at the start");
}, 180_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
});

const lines = (text: string): string[] => text.split("\n").filter((line) => line !== "");

/** What is wrong with the cluster now; empty: nothing. */
async function problems(): Promise<string[]> {
  const wrong: string[] = [];
  const all = await podsOf(cluster);
  const web = all.filter(({ metadata }) => metadata.labels.app === "web");
  if (web.length !== 4 || !web.every(isReady)) wrong.push(`${web.filter(isReady).length} web pods`);
  const each = all.filter(({ metadata }) => metadata.labels.app === "each");
  if (each.length !== NODES.length || !each.every(isReady)) wrong.push("not one pod on each node");
  const ips = all.map(({ status }) => status.podIP);
  if (new Set(ips).size !== all.length) wrong.push(`pods share addresses: ${ips.join()}`);
  for (const node of NODES) {
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
    throw new Error(`seed ${SEED}, ${when}: ${wrong.join("; ")}`, { cause });
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

test(
  `${ROUNDS} power cuts and partitions of ${NODES.length} nodes, seed ${SEED}`,
  async () => {
    for (let round = 1; round <= ROUNDS; round++) {
      const node = NODES[Math.floor(random.next() * NODES.length)] ?? "n1";
      const awayMs = Math.floor(random.next() * AWAY_MS_MAX);
      const [what, act] = random.next() < 0.6 ? ["cut", powerCut] : ["partition", partition];
      const end = writer(round);
      const started = performance.now();
      try {
        await (act as typeof powerCut)(node, awayMs);
      } finally {
        await end();
      }
      const actedMs = performance.now() - started;
      await converged(`after round ${round} (${what} of ${node} for ${awayMs} ms)`);
      const tookMs = Math.round(performance.now() - started - actedMs);
      console.log(`${round}: ${what} of ${node} for ${awayMs} ms, well again after ${tookMs} ms`);
    }
  },
  4 * 3_600_000,
);
