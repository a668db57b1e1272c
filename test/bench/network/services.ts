/** Services in the kernel: what a connection pays, how soon a change is live, how they spread. */
import { createIptablesWriter } from "#agents/network/iptables.ts";
import { createNftablesWriter } from "#agents/network/nftables.ts";
import { createProxyAgent } from "#agents/proxy/agent.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import type { Run } from "#base/process.ts";
import { createCaches } from "#client/cache.ts";
import { endpointSlices } from "#resources/kinds/endpointslice.ts";
import { services } from "#resources/kinds/service.ts";
import { connectTimes, spread } from "#test/bench/network/clients.ts";
import { allByHand, type HandService, oneByHand } from "#test/bench/network/kubeproxy.ts";
import { drawn, middleOf, percent, quantile, type Row, time } from "#test/bench/network/rows.ts";
import { must, type Site, type SiteNode, type SitePod } from "#test/host/network/site.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { service, slice } from "#test/unit/agents/proxy/build.ts";

const CONNECTS = 3_000;
const CHANGES = 20;
const FEW = 1_000;
const MANY = 5_000;

type Mode = "iptables" | "nftables";

const ipOf = (i: number): string => `10.43.${1 + Math.floor(i / 250)}.${1 + (i % 250)}`;

/** The programs that an agent runs, with the processor time that they took. */
class Metered {
  cpuMs = 0;
  readonly #netns: string;

  constructor(netns: string) {
    this.#netns = netns;
  }

  readonly run: Run = async (argv, options = {}) => {
    const child = Bun.spawn(["nsenter", `--net=/run/netns/${this.#netns}`, ...argv], {
      stdin: options.stdin === undefined ? "ignore" : Buffer.from(options.stdin),
      stdout: "pipe",
      stderr: "pipe",
    });
    const [stdout, stderr, exitCode] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    this.cpuMs += Number(child.resourceUsage()?.cpuTime.total ?? 0n) / 1_000;
    return { exitCode, stdout, stderr };
  };
}

interface Running {
  api: FakeApi;
  meter: Metered;
  startMs: number;
  /** Processor time of that, of agent, API and programs. */
  startCpuMs: number;
  settled(): Promise<void>;
  /** The look that the agent takes some seconds later, and on and on. */
  look(): Promise<void>;
  /** Ends as the agent's process does: the kernel keeps what it has. */
  leave(): void;
  end(): Promise<void>;
}

/** An agent on a node. */
async function startAgent(
  node: SiteNode,
  options: { mode: Mode; count: number; pods: readonly SitePod[] },
): Promise<Running> {
  const api = new FakeApi();
  for (let i = 0; i < options.count; i++) {
    api.put(services, service(`s${i}`, { clusterIP: ipOf(i) }));
    const endpoints = options.pods.map(({ ip }) => `${ip}@${node.name}`);
    api.put(endpointSlices, slice(`s${i}`, endpoints));
  }
  const meter = new Metered(node.netns);
  const common = { run: meter.run, log: silentLog, clock: realClock, instance: "bench" };
  const caches = createCaches({ client: api.client, clock: realClock, log: silentLog });
  const writer = createIptablesWriter({ ...common, owners: ["proxy"] });
  const table = createNftablesWriter({ ...common, family: "IPv4" });
  const agent = createProxyAgent({
    ...common,
    caches,
    writers: { IPv4: writer },
    tables: { IPv4: table },
    mode: options.mode,
    nodeName: node.name,
    clusterCidr: "10.42.0.0/16",
  });
  const stop = new AbortController();
  const started = performance.now();
  const own = process.cpuUsage();
  agent.start(stop.signal);
  await agent.settled();
  const startMs = performance.now() - started;
  const { user, system } = process.cpuUsage(own);
  const leave = () => {
    stop.abort();
    caches.stop();
  };
  return {
    api,
    meter,
    startMs,
    startCpuMs: (user + system) / 1_000 + meter.cpuMs,
    settled: () => agent.settled(),
    look: () => table.verify(),
    leave,
    async end() {
      leave();
      await writer.clear();
      await table.clear();
    },
  };
}

/** Endpoint by endpoint: from the API's event to rules in the kernel; times and processor time. */
async function changes(running: Running, node: SiteNode, pods: readonly SitePod[]) {
  const took: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    await Bun.sleep(50);
    const endpoints = pods.slice(0, 2 + (i % 2)).map(({ ip }) => `${ip}@${node.name}`);
    const own = process.cpuUsage();
    const children = running.meter.cpuMs;
    const started = performance.now();
    running.api.put(endpointSlices, slice("s500", endpoints));
    await Bun.sleep(1);
    await running.settled();
    took.push(performance.now() - started);
    const { user, system } = process.cpuUsage(own);
    cpu.push((user + system) / 1_000 + running.meter.cpuMs - children);
  }
  return { ms: quantile(took, 0.5), worstMs: Math.max(...took), cpuMs: quantile(cpu, 0.5) };
}

interface Cost {
  addedUs: number;
  directUs: number;
}

async function connectCost(client: SitePod, direct: SitePod): Promise<Cost> {
  const targets = [`${direct.ip}:8080`, `${ipOf(FEW - 1)}:80`];
  const [directUs = 0, serviceUs = 0] = await connectTimes(client.run, CONNECTS, targets);
  return { addedUs: serviceUs - directUs, directUs };
}

async function byHand(node: SiteNode, client: SitePod, pods: readonly SitePod[]) {
  const endpoints = pods.map(({ ip }) => `${ip}:8080`);
  const all = Array.from({ length: FEW }, (_, i): HandService => ({ ip: ipOf(i), endpoints }));
  const before = await must(node.run, ["iptables-save"]);
  await must(node.run, ["iptables-restore", "--noflush"], allByHand(all));
  const cost = await connectCost(client, pods[0] ?? client);
  const took: number[] = [];
  for (let i = 0; i < CHANGES; i++) {
    const one = { ip: ipOf(500), endpoints: endpoints.slice(0, 2 + (i % 2)) };
    const started = performance.now();
    await must(node.run, ["iptables-restore", "--noflush"], oneByHand(one, 500));
    took.push(performance.now() - started);
  }
  // A table that `before` does not name stays as it is: what was put there has to go first.
  await must(node.run, ["iptables-restore"], `*nat\nCOMMIT\n${before}`);
  const left = await must(node.run, ["iptables-save"]);
  if (left.includes("KUBE-")) throw new Error("rules by hand are left beside those measured");
  return { ...cost, changeMs: quantile(took, 0.5) };
}

function startRow(mode: Mode, what: string, { startMs, startCpuMs }: Running): Row {
  return {
    what: `${mode}: all 5,000 Services after a restart of ${what}`,
    measured: `${time(startMs)} (processor time ${time(startCpuMs)})`,
    floor: mode === "nftables" ? "1 s (chosen by itself from 1,000 ports on)" : "",
    yardstick: "by hand 0.12 to 3.5 s",
    ...(mode === "nftables" && { met: startMs <= 1_000 }),
  };
}

/** `client` and `pods` are on the first node; there are five pods. */
export async function serviceRows(
  site: Site,
  client: SitePod,
  pods: readonly SitePod[],
): Promise<Row[]> {
  const [node] = site.nodes as [SiteNode];
  const three = pods.slice(0, 3);
  const hand = await byHand(node, client, three);
  const rows: Row[] = [];
  for (const mode of ["iptables", "nftables"] as const) {
    const few = await startAgent(node, { mode, count: FEW, pods: three });
    const cost = await connectCost(client, pods[0] ?? client);
    const change = await changes(few, node, three);
    await few.end();
    const many = await startAgent(node, { mode, count: MANY, pods: three });
    if (mode === "nftables") await many.look();
    many.leave();
    const again = await startAgent(node, { mode, count: MANY, pods: three });
    await again.end();
    rows.push(
      {
        what: `${mode}: a connection through a ClusterIP among 1,000 x 3, added, p50`,
        measured: `${Math.round(cost.addedUs)} µs over ${Math.round(cost.directUs)} µs direct`,
        floor: "30 µs",
        yardstick: `kube-proxy's chains by hand: ${Math.round(hand.addedUs)} µs`,
        met: cost.addedUs <= 30,
      },
      {
        what: `${mode}: one endpoint among 1,000 Services changes -> rules live, p50 (worst)`,
        measured: `${time(change.ms)} (${time(change.worstMs)})`,
        floor: "100 ms",
        yardstick: `iptables-restore by hand: ${time(hand.changeMs)}`,
        met: change.ms <= 100,
      },
      {
        what: `${mode}: processor time of that, agent and its programs, p50`,
        measured: time(change.cpuMs),
        floor: "30 ms",
        yardstick: "",
        met: change.cpuMs <= 30,
      },
      startRow(mode, "the machine", many),
      startRow(mode, "the agent", again),
    );
  }
  return rows;
}

const worstOf = (counts: readonly number[]): number =>
  Math.max(...counts.map((count) => Math.abs(count / 2_000 - 1)));

/**
 * 10,000 connections over five pods. Endpoints are drawn by chance: one draw of sixteen is past 5 %
 * where all is well.
 */
export async function spreadRows(
  site: Site,
  client: SitePod,
  pods: readonly SitePod[],
): Promise<Row[]> {
  const [node] = site.nodes as [SiteNode];
  const rows: Row[] = [];
  for (const mode of ["iptables", "nftables"] as const) {
    const running = await startAgent(node, { mode, count: 1, pods });
    const draws = await drawn(() => spread(client.run, 10_000, `${ipOf(0)}:80`));
    await running.end();
    const { draw: counts, figure: worst, figures } = middleOf(draws, worstOf);
    rows.push({
      what: `${mode}: spread of 10,000 connections over 5 endpoints, worst`,
      measured: `${figures.map((each) => percent(each, 1)).join(", ")} (${counts.join(", ")})`,
      floor: "5 %",
      yardstick: "chance alone: 2 % (1 sigma)",
      met: counts.length === 5 && worst <= 0.05,
    });
  }
  return rows;
}
