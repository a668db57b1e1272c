/**
 * Five nodes that have nothing to do but to run a pod each, for LONG_IDLE_S seconds (default 600):
 * what passes between each of them and the LAN, and what each writes to its disk.
 * `bun run test:idle`
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writtenBytes } from "#test/bench/process.ts";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { processesOf } from "#test/support/nodegroup.ts";
import { webImage } from "#test/support/webimage.ts";

const IDLE_S = Number(process.env["LONG_IDLE_S"] ?? 600);
const SETTLE_S = 60;
const SERVER = "n1";
const AGENTS = ["n2", "n3", "n4", "n5"];
const TRAFFIC_BYTES_PER_S_MAX = 500;
const WRITTEN_MB_PER_DAY_MAX = 20;
const DAY_S = 86_400;
let cluster: LabCluster;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-idle-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: 1 + AGENTS.length, dir, images: [image] });
  await cluster.startServer();
  for (const node of AGENTS) await cluster.startAgent(node);
  await cluster.readyNodes(1 + AGENTS.length, 30_000);
  await cluster.kubectl("create", "-f", join(import.meta.dir, "idle.yaml"));
  await cluster.kubectl("rollout", "status", "daemonset/each", "--timeout=60s");
}, 180_000);

afterAll(async () => {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
});

interface Look {
  atMs: number;
  inBytes: number;
  outBytes: number;
  /** By process, so that one that ended takes nothing away. */
  written: Map<number, number>;
}

async function look(node: string): Promise<Look> {
  const counters = ["rx_bytes", "tx_bytes"].map((name) => `/sys/class/net/eth0/statistics/${name}`);
  const text = await cluster.lab.must(node, "cat", ...counters);
  const [inBytes = 0, outBytes = 0] = text.trim().split("\n").map(Number);
  const written = new Map(processesOf(node).map((pid) => [pid, writtenBytes(pid)]));
  return { atMs: performance.now(), inBytes, outBytes, written };
}

interface Rest {
  inPerS: number;
  outPerS: number;
  writtenMbPerDay: number;
}

function between(before: Look, after: Look): Rest {
  const seconds = (after.atMs - before.atMs) / 1_000;
  const written = [...after.written].reduce(
    (sum, [pid, bytes]) => sum + bytes - (before.written.get(pid) ?? 0),
    0,
  );
  return {
    inPerS: (after.inBytes - before.inBytes) / seconds,
    outPerS: (after.outBytes - before.outBytes) / seconds,
    writtenMbPerDay: ((written / seconds) * DAY_S) / 1e6,
  };
}

test(`five nodes rest for ${IDLE_S} s`, async () => {
  await Bun.sleep(SETTLE_S * 1_000);
  const nodes = [SERVER, ...AGENTS];
  const before = await Promise.all(nodes.map(look));
  await Bun.sleep(IDLE_S * 1_000);
  const after = await Promise.all(nodes.map(look));
  const rests = nodes.map((node, i) => ({
    node,
    ...between(before[i] as Look, after[i] as Look),
  }));
  for (const { node, inPerS, outPerS, writtenMbPerDay } of rests) {
    const traffic = `${inPerS.toFixed(0)} B/s in, ${outPerS.toFixed(0)} B/s out`;
    console.log(`${node}: ${traffic}, ${writtenMbPerDay.toFixed(1)} MB/day written`);
  }
  const agents = rests.filter(({ node }) => node !== SERVER);
  for (const { inPerS, outPerS } of agents) {
    expect(inPerS).toBeGreaterThan(0);
    expect(Math.max(inPerS, outPerS)).toBeLessThanOrEqual(TRAFFIC_BYTES_PER_S_MAX);
  }
  for (const { writtenMbPerDay } of rests) {
    expect(writtenMbPerDay).toBeLessThanOrEqual(WRITTEN_MB_PER_DAY_MAX);
  }
}, 3_600_000);
