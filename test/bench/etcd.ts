/**
 * Several servers on a real etcd: three lab nodes with a member (v3.6.4) each, bramble beside
 * Kubernetes' own API server on that same etcd, in turns, and what a server holds in memory while
 * nothing happens.
 *
 *   bun run bench:etcd [--rounds 7] [--servers 1] [--pods 30] [--idle-seconds 60] [--only idle,api]
 *
 * `--servers`: so many of each; the first is asked. Each figure that has a floor says whether it
 * held; the exit code is 1 where one did not. All nodes share the machine's cores and its disk.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { realClock, sleep } from "#base/clock.ts";
import { apiLoad, type Loads } from "#test/bench/apiload.ts";
import { measureAll, owned, whenOver } from "#test/bench/ends.ts";
import {
  type Figure,
  figuresTable,
  loadsTable,
  type Measured,
  timesAsFast,
  verdict,
} from "#test/bench/figures.ts";
import { idleDeployment } from "#test/bench/idle.ts";
import { imageOf } from "#test/bench/image.ts";
import { benchDir, forget } from "#test/bench/machine.ts";
import { apiserverFlags, PEER_TOKEN } from "#test/bench/peers.ts";
import { cpuSeconds, memory } from "#test/bench/process.ts";
import { buildBramble, peerPrograms } from "#test/bench/programs.ts";
import type { Target } from "#test/bench/server.ts";
import { addressOf, BRAMBLE, ON_LAN, until } from "#test/support/lab.ts";
import { runningIn } from "#test/support/nodegroup.ts";
import { type ServerLab, startServerLab } from "#test/support/serverlab.ts";

const NODES = ["n1", "n2", "n3"];
const PEER_PORT = 6444;
const READY_MS_MAX = 120_000;
const SETTLE_MS = 60_000;
const MEMORY_MB_MAX = 120;
/** As its turn begins, a server works off what it did not hear while it was halted. */
const REST_MS_MAX = 60_000;
const REST_LOOK_MS = 1_000;
const REST_CORES_MAX = 0.15;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "7" },
    servers: { type: "string", default: "1" },
    pods: { type: "string", default: "30" },
    "idle-seconds": { type: "string", default: "60" },
    only: { type: "string", default: "idle,api" },
  },
});
const rounds = Number(flags.rounds);
const hosts = NODES.slice(0, Number(flags.servers));
const wants = (part: "idle" | "api"): boolean => flags.only.split(",").includes(part);
const say = (text: string): void => console.error(`… ${text}`);
let dirs = 0;

/** Nodes and etcd, with nothing on it yet. */
async function openSite(etcd: string) {
  const dir = benchDir(`etcd${dirs++}`);
  whenOver(() => forget(dir));
  const { path } = await imageOf();
  const open = () => startServerLab({ nodes: 3, dir, images: [path], members: NODES, etcd });
  const [site, close] = await owned(open, (each) => each.down());
  return { site, dir, close };
}

interface Resting {
  readonly node: string;
  readonly rssMb: number;
  readonly pssMb: number;
  readonly cpuPercent: number;
  readonly etcdRssMb: number;
}

function pidOf(node: string, program: string): number {
  const [pid] = runningIn(node, program);
  if (pid === undefined) throw new Error(`${program} does not run in ${node}`);
  return pid;
}

/** Three nodes with member, server and agent each, among which the pods are. */
async function measureIdle(etcd: string): Promise<Resting[]> {
  const { site, dir, close } = await openSite(etcd);
  for (const node of NODES) await site.startServer(node);
  await site.readyNodes("n1", NODES.length, READY_MS_MAX);
  const path = join(dir, "idle.json");
  const image = (await imageOf()).name;
  const container = { image, command: ["sleep", "100000"] };
  writeFileSync(path, JSON.stringify(idleDeployment(Number(flags.pods), container)));
  await site.kubectl("n1", "create", "-f", path);
  await site.kubectl("n1", "rollout", "status", "deployment/idle", "--timeout=110s");
  const seconds = Number(flags["idle-seconds"]);
  say(`${flags.pods} pods, idle for ${seconds} s`);
  await sleep(realClock, SETTLE_MS);
  const pids = NODES.map((node) => pidOf(node, BRAMBLE));
  const before = pids.map(cpuSeconds);
  await sleep(realClock, seconds * 1000);
  const resting = NODES.map((node, at) => {
    const pid = pids[at] ?? 0;
    const cpuPercent = ((cpuSeconds(pid) - (before[at] ?? 0)) / seconds) * 100;
    return { node, ...memory(pid), cpuPercent, etcdRssMb: memory(pidOf(node, etcd)).rssMb };
  });
  await close();
  return resting;
}

interface Competitor extends Target {
  readonly program: string;
}

const halt = (program: string, signal: "SIGSTOP" | "SIGCONT"): void => {
  for (const node of hosts) process.kill(pidOf(node, program), signal);
};

/** Resolves once neither the servers nor etcd have work left. */
async function rested(...programs: readonly string[]): Promise<void> {
  const pids = programs.flatMap((program) => hosts.map((node) => pidOf(node, program)));
  const used = (): number => pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  let before = used();
  await until("the servers rest", REST_MS_MAX, async () => {
    await sleep(realClock, REST_LOOK_MS);
    const now = used();
    const cores = ((now - before) / REST_LOOK_MS) * 1000;
    before = now;
    return cores < REST_CORES_MAX;
  });
}

async function ready(site: ServerLab, { url, token }: Target): Promise<void> {
  const header = ["--header", `authorization: Bearer ${token}`];
  await until(`${url} is ready`, READY_MS_MAX, async () => {
    const argv = ["curl", "-sk", "--max-time", "1", ...header, `${url}/readyz`];
    return (await site.lab.exec("lan", ...argv)).stdout === "ok";
  });
}

async function startBramble(site: ServerLab): Promise<Competitor> {
  for (const node of hosts) await site.startServer(node, "--no-agent", "--disable", "discovery");
  const url = `https://${addressOf("n1")}:6443`;
  return { program: BRAMBLE, url, token: site.adminToken() };
}

async function startKubernetes(site: ServerLab, dir: string, program: string): Promise<Competitor> {
  const etcd = site.etcd.join();
  for (const node of hosts) {
    const place = { etcd, address: addressOf(node), port: PEER_PORT };
    const argv = await apiserverFlags(dir, place);
    site.spawn(node, `${node}-kubernetes`, program, ...argv);
  }
  const target = { url: `https://${addressOf("n1")}:${PEER_PORT}`, token: PEER_TOKEN };
  await ready(site, target);
  return { program, ...target };
}

/** Ours and theirs in turns on one etcd, each with the machine for itself and for etcd. */
async function measureApi(etcd: string, apiserver: string): Promise<Measured> {
  const { site, dir, close } = await openSite(etcd);
  const theirs = await startKubernetes(site, dir, apiserver);
  halt(theirs.program, "SIGSTOP");
  const ours = await startBramble(site);
  const turn = async (who: Competitor, other: Competitor, round: number): Promise<Loads> => {
    halt(other.program, "SIGSTOP");
    halt(who.program, "SIGCONT");
    await ready(site, who);
    await rested(who.program, etcd);
    return apiLoad(who, round, ON_LAN);
  };
  const loads: { ours: Loads[]; peers: Loads[] } = { ours: [], peers: [] };
  // The first round warms both up: what counts is how servers serve that run for months.
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? "load, to warm up" : `load, round ${round} of ${rounds}`);
    const [mine, other] = [await turn(ours, theirs, round), await turn(theirs, ours, round)];
    if (round > 0) {
      loads.ours.push(mine);
      loads.peers.push(other);
    }
    say(roundLine({ ours: [mine], peers: [other] }));
  }
  halt(ours.program, "SIGCONT");
  await close();
  return loads;
}

const RATIOS = [
  ["creates a second", "create", "perSecond", 1.5],
  ["gets a second", "get", "perSecond", 4],
  ["list of 5,000 pods, p50", "list-pods", "p50Ms", 5],
  ["fan-out to 500 watchers, p50", "watch-fanout-500", "p50Ms", 1],
] as const;

/** What one round says. */
const roundLine = (measured: Measured): string =>
  RATIOS.map(([, op, pick]) => `${op} ${timesAsFast(measured, op, pick)?.toFixed(2)}x`).join(", ");

function apiFigures(measured: Measured): Figure[] {
  return RATIOS.map(([what, op, pick, floor]) => ({
    what: `${what}, over Kubernetes on the same etcd`,
    ...{ value: timesAsFast(measured, op, pick), unit: "x", floor, more: true },
  }));
}

function idleFigure(resting: readonly Resting[]): Figure {
  const value = Math.max(...resting.map(({ rssMb }) => rssMb));
  const what = `RSS of a server on etcd, idle, ${flags.pods} pods, the largest of three`;
  return { what, value, unit: "MB", floor: MEMORY_MB_MAX };
}

await measureAll(async () => {
  if (process.getuid?.() !== 0) throw new Error("the lab needs root");
  await buildBramble();
  const { etcd, apiserver } = await peerPrograms();
  const figures: Figure[] = [];
  if (wants("idle")) {
    const resting = await measureIdle(etcd);
    for (const each of resting) console.log(JSON.stringify(each));
    figures.push(idleFigure(resting));
  }
  if (wants("api")) {
    const measured = await measureApi(etcd, apiserver);
    console.log(`${loadsTable(measured)}\n`);
    figures.push(...apiFigures(measured));
  }
  console.log(figuresTable(figures));
  if (figures.some((figure) => verdict(figure) === "MISSED")) process.exitCode = 1;
});
