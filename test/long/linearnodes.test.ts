/**
 * Three boards with a member of etcd, a server and a node each. At random one of them loses its
 * power, is cut off from the others or has its server and member killed and started anew, while
 * clients create, read, change and delete. What they saw of each key must have an order.
 * `bun run test:linear-nodes`; LONG_ROUNDS (default 100) and LONG_SEED say how many, and which.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { etcdProgram } from "#test/support/etcd.ts";
import { assertOrdered, countOutcomes } from "#test/support/keyclient.ts";
import { addressOf, BRAMBLE, until } from "#test/support/lab.ts";
import { startLabKeys } from "#test/support/labkeys.ts";
import { runningIn } from "#test/support/nodegroup.ts";
import { seededRandom } from "#test/support/random.ts";
import { type ServerLab, startServerLab } from "#test/support/serverlab.ts";

const ROUNDS = Number(process.env["LONG_ROUNDS"] ?? 100);
const SEED = Number(process.env["LONG_SEED"] ?? Date.now() % 1_000_000);
const NODES = ["n1", "n2", "n3"];
const KEYS = 3;
const BEFORE_MS = 500;
const AWAY_MS_MAX = 6_000;
const AFTER_MS = 500;
const BACK_MS_MAX = 60_000;
const random = seededRandom(SEED);
const pick = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)] as T;
const totals: Record<string, number> = {};
let site: ServerLab;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-linear-"));
  site = await startServerLab({ nodes: NODES.length, dir, images: [], members: NODES });
  for (const node of NODES) await site.startServer(node);
  await site.readyNodes("n1", NODES.length, BACK_MS_MAX);
}, 240_000);

afterAll(async () => {
  await site?.down();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

async function startAgain(node: string): Promise<void> {
  await site.startMember(node);
  await site.startServer(node);
}

type Fault = (node: string, awayMs: number) => Promise<void>;

const FAULTS: Readonly<Record<string, Fault>> = {
  async cut(node, awayMs) {
    await site.lab.cut(node);
    await Bun.sleep(awayMs);
    await site.lab.boot(node);
    await startAgain(node);
  },
  async partition(node, awayMs) {
    await site.lab.partition(node);
    await Bun.sleep(awayMs);
    await site.lab.heal(node);
  },
  async restart(node) {
    const pids = [BRAMBLE, etcdProgram()].flatMap((program) => runningIn(node, program));
    for (const pid of pids) process.kill(pid, "SIGKILL");
    await startAgain(node);
  },
};

async function allBack(): Promise<void> {
  for (const node of NODES) {
    await until(`${node} answers`, BACK_MS_MAX, async () => {
      await site.kubectl(node, "get", "configmap", "nothing", "--ignore-not-found");
      return true;
    });
  }
}

async function round(number: number): Promise<void> {
  const what = pick(Object.keys(FAULTS));
  const node = pick(NODES);
  const awayMs = Math.round(random.next() * AWAY_MS_MAX);
  const plan = {
    urls: NODES.map((each) => `https://${addressOf(each)}:6443`),
    token: site.adminToken(),
    names: Array.from({ length: KEYS }, (_, i) => `r${number}-k${i}`),
    seed: SEED + number,
  };
  const end = startLabKeys(site.lab, plan, join(dir, `keys-${number}.json`));
  let histories: Awaited<ReturnType<typeof end>>;
  try {
    await Bun.sleep(BEFORE_MS);
    await FAULTS[what]?.(node, awayMs);
    await allBack();
    await Bun.sleep(AFTER_MS);
  } finally {
    histories = await end();
  }
  totals[what] = (totals[what] ?? 0) + 1;
  countOutcomes(histories, totals);
  assertOrdered(histories, SEED, `round ${number}, ${what} of ${node} for ${awayMs} ms`);
}

test(
  `after ${ROUNDS} faults of one node (seed ${SEED}) what clients saw has an order`,
  async () => {
    const started = performance.now();
    for (let number = 0; number < ROUNDS; number++) await round(number);
    const seconds = Math.round((performance.now() - started) / 1000);
    console.log(`${ROUNDS} rounds in ${seconds} s, seed ${SEED}: ${JSON.stringify(totals)}`);
    expect(totals["update done"] ?? 0).toBeGreaterThan(ROUNDS);
  },
  60_000 + ROUNDS * 120_000,
);
