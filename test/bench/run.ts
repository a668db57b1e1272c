/**
 * The figures of bramble on this machine, as one table and `last.json`. Other programs on the
 * machine change them: ratios of one run are what counts.
 *
 *   bun run bench [--peers] [--rounds 7] [--kills 20] [--idle-seconds 60] [--only api,pods,…]
 *
 * `--peers` also builds kube-apiserver and etcd (minutes, once) and loads them in turns with ours.
 */
import { writeFileSync } from "node:fs";
import { cpus, loadavg, totalmem } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { realClock, sleep } from "#base/clock.ts";
import { apiLoad, type Loads } from "#test/bench/apiload.ts";
import { measureAll } from "#test/bench/ends.ts";
import { figuresOf, figuresTable, loadsTable, type Measured } from "#test/bench/figures.ts";
import { measureIdle } from "#test/bench/idle.ts";
import { loadImage } from "#test/bench/image.ts";
import { openContainerd } from "#test/bench/machine.ts";
import { type Peer, startPeer } from "#test/bench/peers.ts";
import { podLoad, reserveNetwork } from "#test/bench/podload.ts";
import { memory } from "#test/bench/process.ts";
import { buildBramble, must } from "#test/bench/programs.ts";
import { type BenchServer, startServer } from "#test/bench/server.ts";
import type { PrivateContainerd } from "#test/support/containerd.ts";

const PARTS = ["start", "api", "pods", "idle", "durability"] as const;
const STARTS = 5;
const IDLE_PODS = 10;
const REST_MS = 120_000;
const POD_ROUNDS = 3;

const { values: flags } = parseArgs({
  options: {
    peers: { type: "boolean", default: false },
    rounds: { type: "string", default: "7" },
    kills: { type: "string", default: "20" },
    "idle-seconds": { type: "string", default: "60" },
    only: { type: "string", default: PARTS.join(",") },
  },
});
const rounds = Number(flags.rounds);
const wants = (part: (typeof PARTS)[number]): boolean => flags.only.split(",").includes(part);
const say = (text: string): void => console.error(`… ${text}`);

async function measureStart(binary: string, containerd: PrivateContainerd): Promise<number[]> {
  const took: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const server = await startServer({ binary, containerd });
    took.push(server.startMs);
    await server.end();
  }
  return took;
}

/** The peer's turn, with the machine for itself. */
async function peerLoad(peer: Peer, server: BenchServer, round: number): Promise<Loads> {
  process.kill(server.pid, "SIGSTOP");
  await peer.resume();
  const load = await apiLoad(peer, round);
  peer.pause();
  process.kill(server.pid, "SIGCONT");
  return load;
}

/** Ours and theirs in turns. */
async function measureApi(binary: string): Promise<Measured> {
  const peer = flags.peers ? await startPeer() : undefined;
  peer?.pause();
  const server = await startServer({ binary });
  const ours: Loads[] = [];
  let loadedMb = Number.NaN;
  const peers: Loads[] = [];
  // The first round warms both up: what counts is how servers serve that run for months.
  for (let round = 0; round <= rounds; round++) {
    say(round === 0 ? "load, to warm up" : `load, round ${round} of ${rounds}`);
    const mine = await apiLoad(server, round);
    loadedMb = memory(server.pid).rssMb;
    const theirs = peer && (await peerLoad(peer, server, round));
    if (round === 0) continue;
    ours.push(mine);
    if (theirs !== undefined) peers.push(theirs);
  }
  await peer?.end();
  say("what the load leaves of memory");
  await sleep(realClock, REST_MS);
  const rss = { loadedMb, restedMb: memory(server.pid).rssMb };
  await server.end();
  return { ours, rss, ...(peer !== undefined && { peers }) };
}

async function measureNode(
  binary: string,
  containerd: PrivateContainerd,
  network: string,
): Promise<Measured> {
  const { address, namespace } = containerd;
  const server = await startServer({ binary, containerd });
  await loadImage(address, namespace);
  if (wants("idle")) say(`${IDLE_PODS} pods, idle for ${flags["idle-seconds"]} s`);
  const seconds = Number(flags["idle-seconds"]);
  const idle = wants("idle") ? await measureIdle(server, { pods: IDLE_PODS, seconds }) : undefined;
  await server.end();
  if (!wants("pods")) return { ...(idle && { idle }) };
  say("pods, one at a time and many at once");
  const fresh = await startServer({ binary, containerd });
  await loadImage(address, namespace);
  const pods = await podLoad(fresh, { containerd, network, rounds: POD_ROUNDS });
  await fresh.end();
  return { pods, ...(idle && { idle }) };
}

async function measureKills(): Promise<Measured> {
  say(`killing a writer ${flags.kills} times`);
  const script = join(import.meta.dir, "durability.ts");
  const out = await must(["bun", script, "--json", "--rounds", flags.kills]);
  return { durability: JSON.parse(out) as NonNullable<Measured["durability"]> };
}

async function measure(): Promise<Measured> {
  const binary = await buildBramble();
  let measured: Measured = {};
  if (wants("start") || wants("idle") || wants("pods")) {
    const network = await reserveNetwork();
    const containerd = await openContainerd(binary);
    say(`containerd and ${binary} are there`);
    if (wants("start")) measured = { startMs: await measureStart(binary, containerd) };
    if (wants("idle") || wants("pods")) {
      measured = { ...measured, ...(await measureNode(binary, containerd, network)) };
    }
    await containerd.close();
  }
  if (wants("api")) measured = { ...measured, ...(await measureApi(binary)) };
  if (wants("durability")) measured = { ...measured, ...(await measureKills()) };
  return measured;
}

async function report(measured: Measured): Promise<void> {
  const figures = figuresOf(measured);
  if (measured.ours !== undefined) console.log(`${loadsTable(measured)}\n`);
  const { pods, idle } = measured;
  if (pods !== undefined) console.log(`pods: ${JSON.stringify(pods)}`);
  if (idle !== undefined) console.log(`idle: ${JSON.stringify(idle)}`);
  console.log(`\n${figuresTable(figures)}`);
  const commit = (await must(["git", "rev-parse", "--short=12", "HEAD"])).trim();
  const machine = {
    cores: cpus().length,
    processor: cpus()[0]?.model,
    memoryMb: Math.round(totalmem() / 2 ** 20),
    loadAtTheEnd: loadavg()[0],
  };
  const last = { commit, date: new Date().toISOString(), machine, figures, measured };
  writeFileSync(join(import.meta.dir, "last.json"), `${JSON.stringify(last, null, 2)}\n`);
}

await measureAll(async () => {
  if (process.getuid?.() !== 0) throw new Error("measuring pods needs root");
  await report(await measure());
});
