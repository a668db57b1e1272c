/**
 * A simulated cluster: `dist/bramble server` and agents without containers over the network.
 *
 *   bun run bench:cluster [--nodes 200] [--pods 30] [--idle-seconds 20] [--limit-seconds 100]
 *     [--binary PROGRAM]
 *
 * All pods of one Deployment a node, each with a Service, from nothing to Running; then what it
 * costs to do nothing, with heartbeats and without; then one Deployment 0 -> 500 -> 0. Each figure
 * that has a floor says whether it held; the exit code is 1 where one did not. Server and agents
 * share the machine's cores. `--binary` may be a script that runs the server from source under
 * bun's profiler.
 */
import { parseArgs } from "node:util";
import { storeToken } from "#agents/join/admit.ts";
import { formatToken, type JoinToken } from "#agents/join/token.ts";
import { realClock, sleep } from "#base/clock.ts";
import type { Client } from "#client/client.ts";
import { createClient } from "#client/http.ts";
import { readLines } from "#client/lines.ts";
import { deployments } from "#resources/kinds/deployment.ts";
import { pods } from "#resources/kinds/pod.ts";
import { services } from "#resources/kinds/service.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";
import { endProcess, measureAll, whenOver } from "#test/bench/ends.ts";
import type { HollowStats } from "#test/bench/hollow.ts";
import { cpuSeconds, cpuTimes, memory } from "#test/bench/process.ts";
import { BRAMBLE, buildBramble } from "#test/bench/programs.ts";
import { type BenchServer, startServer } from "#test/bench/server.ts";

const { values: flags } = parseArgs({
  options: {
    nodes: { type: "string", default: "200" },
    pods: { type: "string", default: "30" },
    "idle-seconds": { type: "string", default: "20" },
    burst: { type: "string", default: "500" },
    "limit-seconds": { type: "string", default: "100" },
    "no-services": { type: "boolean", default: false },
    binary: { type: "string" },
  },
});
const NODES = Number(flags.nodes);
const PODS = Number(flags.pods);
const IDLE_SECONDS = Number(flags["idle-seconds"]);
const BURST = Number(flags.burst);
const LIMIT_MS = Number(flags["limit-seconds"]) * 1000;
/** As many as kubectl or a pipeline would have under way. */
const CREATES_AT_ONCE = 16;
/** Spacing of writes, sweeps and garbage collection that follow a burst. */
const QUIET_MS = 8_000;
const namespace = "default";

const say = (text: string): void => console.error(`… ${text}`);
const row = (what: string, text: string): void => console.log(`${what.padEnd(44)} ${text}`);

/** A figure that has a floor. One that is not reached fails the whole run, which goes on. */
function figure(what: string, text: string, floor: string, held: boolean): void {
  row(what, `${text} (floor ${floor}: ${held ? "held" : "NOT HELD"})`);
  if (!held) process.exitCode = 1;
}

/** What holds for up to this many nodes; larger clusters have a floor for the API's answers. */
const SMALL_NODES_MAX = 200;
const isSmall = NODES <= SMALL_NODES_MAX;

interface Hollow {
  readonly pid: number;
  ask(command: string): Promise<HollowStats>;
}

async function startHollow(server: BenchServer, token: string): Promise<Hollow> {
  const script = new URL("hollow.ts", import.meta.url).pathname;
  const child = Bun.spawn(["bun", script, server.url, token, String(NODES)], {
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "60000" },
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  whenOver(() => endProcess(child));
  const lines = readLines(new Response(child.stdout));
  const next = async (): Promise<HollowStats> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("the agents ended");
    return JSON.parse(value) as HollowStats;
  };
  await next();
  return {
    pid: child.pid,
    ask(command) {
      child.stdin.write(`${command}\n`);
      child.stdin.flush();
      return next();
    },
  };
}

/** The server's CA by hash, as a token names it. */
async function joinToken(server: BenchServer, client: Client): Promise<string> {
  const { X509Certificate } = await import("node:crypto");
  const init = { tls: { rejectUnauthorized: false } };
  const pem = await (await fetch(`${server.url}/bramble/v1/ca`, init)).text();
  const der = new X509Certificate(pem).raw;
  const caSha256 = new Bun.CryptoHasher("sha256").update(der).digest("hex");
  const token: JoinToken = { caSha256, id: "hollow", secret: "hollowhollowhol0" };
  await storeToken(client, token, { description: "bench" });
  return formatToken(token);
}

/** Pods by phase and placement, from one watch as any client has it. */
class Counter {
  readonly #client: Client;
  readonly #bound = new Set<string>();
  readonly #running = new Set<string>();
  /** Changes of pods seen. */
  changes = 0;

  constructor(client: Client) {
    this.#client = client;
    void this.#follow();
  }

  get bound(): number {
    return this.#bound.size;
  }

  get running(): number {
    return this.#running.size;
  }

  /** A watch that fell behind was cut: it lists again, as any client does. */
  async #follow(): Promise<void> {
    for (;;) {
      await this.#run().catch((error: unknown) => say(`the counting watch ended: ${error}`));
      await sleep(realClock, 100);
    }
  }

  async #run(): Promise<void> {
    const { signal } = new AbortController();
    const { resourceVersion, items } = await this.#client.list(pods);
    this.#bound.clear();
    this.#running.clear();
    for (const pod of items) this.#see(pod, true);
    for await (const event of this.#client.watch(pods, { resourceVersion, signal })) {
      if (event.type === "BOOKMARK") continue;
      this.changes++;
      this.#see(event.object, event.type !== "DELETED");
    }
  }

  #see({ metadata, spec, status }: Stored<Pod>, there: boolean): void {
    const { uid } = metadata;
    const is = (set: Set<string>, yes: boolean) => (yes ? set.add(uid) : set.delete(uid));
    is(this.#bound, there && spec?.nodeName !== undefined);
    is(this.#running, there && status?.phase === "Running");
  }
}

/** What to say while something takes long. */
let progress = (): string => "";

/** Milliseconds until it holds. */
async function waitFor(what: string, holds: () => boolean): Promise<number> {
  const startedMs = performance.now();
  let saidMs = startedMs;
  while (!holds()) {
    if (performance.now() - startedMs > LIMIT_MS) throw new Error(`not in time: ${what}`);
    if (performance.now() - saidMs > 10_000) {
      say(`waiting for ${what}: ${progress()}`);
      saidMs = performance.now();
    }
    await sleep(realClock, 10);
  }
  return performance.now() - startedMs;
}

const template = (app: string) => ({
  metadata: { labels: { app } },
  spec: {
    containers: [
      { name: "main", image: "hollow:1", resources: { requests: { cpu: "100m", memory: "64Mi" } } },
    ],
  },
});

async function makeApp(client: Client, app: string, replicas: number): Promise<void> {
  const metadata = { namespace, name: app };
  const selector = { matchLabels: { app } };
  if (!flags["no-services"]) {
    const spec = { selector: { app }, ports: [{ port: 80 }] };
    await client.create(services, { metadata, spec });
  }
  await client.create(deployments, {
    metadata,
    spec: { replicas, selector, template: template(app) },
  });
}

async function makeApps(client: Client): Promise<void> {
  const numbers = Array.from({ length: NODES }, (_, i) => i).values();
  const worker = async (): Promise<void> => {
    for (const i of numbers) await makeApp(client, `app-${i}`, PODS);
  };
  await Promise.all(Array.from({ length: CREATES_AT_ONCE }, worker));
}

interface Measuring {
  readonly server: BenchServer;
  readonly client: Client;
  readonly hollow: Hollow;
  readonly counter: Counter;
}

const latency = ({ requests, p50Ms, p99Ms, maxMs, errors, lastError }: HollowStats): string =>
  `${requests} requests, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(0)} ms, ` +
  `longest ${maxMs.toFixed(0)} ms, ${errors} errors ${lastError}`;

/** Computing from now on: of the server, and of the agents, as so many milliseconds each. */
function computing(server: BenchServer, hollow?: Hollow): (count: number, all: Hollow) => string {
  const before = cpuTimes(server.pid);
  const othersBefore = hollow === undefined ? 0 : cpuSeconds(hollow.pid);
  return (count, { pid }) => {
    const each = (seconds: number): string => ((seconds * 1000) / count).toFixed(2);
    const now = cpuTimes(server.pid);
    const user = now.userSeconds - before.userSeconds;
    const system = now.systemSeconds - before.systemSeconds;
    const others = cpuSeconds(pid) - othersBefore;
    return (
      `server ${each(user + system)} ms (${each(system)} in the kernel), ` +
      `agents ${each(others)} ms`
    );
  };
}

async function fill({ server, client, hollow, counter }: Measuring): Promise<void> {
  const total = NODES * PODS;
  const cpu = computing(server, hollow);
  await hollow.ask("stats");
  const startedMs = performance.now();
  const made = makeApps(client);
  const boundMs = waitFor("all are bound", () => counter.bound >= total);
  await waitFor(`${total} are Running`, () => counter.running >= total);
  const ms = performance.now() - startedMs;
  await made;
  row("pods bound and Running", `${total} in ${(ms / 1000).toFixed(1)} s`);
  const rate = total / (ms / 1000);
  if (isSmall) figure("  a second", `${Math.round(rate)}`, ">= 150", rate >= 150);
  else row("  a second", `${Math.round(rate)}`);
  row("  all bound after", `${((await boundMs) / 1000).toFixed(1)} s`);
  row("  computing a pod", cpu(total, hollow));
  row("  changes of a pod seen", (counter.changes / total).toFixed(2));
  const stats = await hollow.ask("stats");
  row("  requests of agents", latency(stats));
  const p99 = `${stats.p99Ms.toFixed(0)} ms`;
  figure("  p99 of the API", p99, "<= 1 s", stats.p99Ms <= 1_000);
}

async function idle({ server, hollow }: Measuring): Promise<void> {
  await sleep(realClock, QUIET_MS);
  const share = async (seconds: number): Promise<number> => {
    const before = cpuSeconds(server.pid);
    await sleep(realClock, seconds * 1000);
    return ((cpuSeconds(server.pid) - before) / seconds) * 100;
  };
  await hollow.ask("stats");
  const all = await share(IDLE_SECONDS);
  row("idle, requests of agents", latency(await hollow.ask("stats")));
  await hollow.ask("pause");
  await sleep(realClock, 1_000);
  const quiet = await share(IDLE_SECONDS);
  await hollow.ask("resume");
  row("idle, of one core, with heartbeats", `${all.toFixed(1)} %`);
  const resting = `${quiet.toFixed(1)} %`;
  const { rssMb, pssMb } = memory(server.pid);
  const rss = `RSS ${rssMb.toFixed(0)} MB, PSS ${pssMb.toFixed(0)} MB`;
  if (isSmall) {
    figure("idle, of one core, without", resting, "<= 3 %", quiet <= 3);
    figure("memory", rss, "RSS <= 400 MB", rssMb <= 400);
  } else {
    row("idle, of one core, without", resting);
    row("memory", rss);
  }
}

async function burst({ client, hollow, counter }: Measuring): Promise<void> {
  await makeApp(client, "burst", 0);
  await sleep(realClock, 1_000);
  await hollow.ask("stats");
  const { bound, running } = counter;
  const scale = (replicas: number) =>
    client.patch(deployments, { namespace, name: "burst" }, "merge", { spec: { replicas } });
  await scale(BURST);
  const upMs = await waitFor("all are Running", () => counter.running >= running + BURST);
  await scale(0);
  const downMs = await waitFor("all are gone", () => counter.bound <= bound);
  const seconds = (ms: number) => (ms / 1000).toFixed(1);
  figure(`0 -> ${BURST}`, `${seconds(upMs)} s`, "<= 10 s", upMs <= 10_000);
  figure(`${BURST} -> 0`, `${seconds(downMs)} s`, "<= 10 s", downMs <= 10_000);
  row("  requests of agents", latency(await hollow.ask("stats")));
}

async function main(): Promise<void> {
  const binary = flags.binary ?? (await buildBramble());
  const server = await startServer({
    binary: binary || BRAMBLE,
    // Room for 1,000 nodes' ranges; heartbeats are taken away for a while on purpose.
    flags: ["--cluster-cidr", "10.128.0.0/12", "--node-grace-seconds", "120"],
  });
  const client = createClient((request) => fetch(request, { tls: { rejectUnauthorized: false } }), {
    base: server.url,
    headers: { authorization: `Bearer ${server.token}` },
  });
  const startedMs = performance.now();
  const cpu = computing(server);
  const hollow = await startHollow(server, await joinToken(server, client));
  row(`${NODES} nodes joined`, `${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  row("  computing a node", cpu(NODES, hollow));
  const measuring = { server, client, hollow, counter: new Counter(client) };
  progress = () =>
    `${measuring.counter.bound} bound, ${measuring.counter.running} running, ` +
    `${cpuSeconds(server.pid).toFixed(0)} s of CPU, ${memory(server.pid).rssMb.toFixed(0)} MB`;
  await sleep(realClock, QUIET_MS);
  row("empty", `RSS ${memory(server.pid).rssMb.toFixed(0)} MB`);
  await fill(measuring);
  await idle(measuring);
  await burst(measuring);
  row("at the end", `RSS ${memory(server.pid).rssMb.toFixed(0)} MB`);
}

await measureAll(main);
