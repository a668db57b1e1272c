/**
 * The node's DNS and Ingress in the same process as an API at full load, and the API beside an
 * Ingress at full load; each beside the same process at rest.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { apiLoad } from "#test/bench/apiload.ts";
import { measuring, whenOver } from "#test/bench/ends.ts";
import { benchDir, forget, openContainerd } from "#test/bench/machine.ts";
import { type BenchIngress, openIngress, serviceOf } from "#test/bench/network/beside.ts";
import { answerTimes } from "#test/bench/network/dns.ts";
import { BARE_ANSWERS, latencies, startBareAnswers } from "#test/bench/network/helpers.ts";
import { drawnQuietly, type QuietDraws } from "#test/bench/network/quiet.ts";
import { middleOf, p99Of, quantile, type Row, time } from "#test/bench/network/rows.ts";
import { BRAMBLE } from "#test/bench/programs.ts";
import { type BenchServer, freePort, startServer } from "#test/bench/server.ts";

const DNS = "10.213.0.10";
const PER_SECOND = "200";
const FLOOR_MS = 10;
const IDLE_SECONDS = 4;
const DRAWS = { count: 5, triesMax: 10 };
const WRK_SECONDS = 5;

/** Answer times in milliseconds, from here to the server's own address or another one. */
async function dnsTimes(
  names: string,
  seconds: number,
  of: readonly string[] = ["-s", DNS],
): Promise<number[]> {
  const flags = ["-d", names, "-l", String(seconds), "-Q", PER_SECOND, "-q", "50", "-T", "1", "-v"];
  const argv = ["dnsperf", ...of, ...flags];
  const child = measuring(() => Bun.spawn(argv, { stdout: "pipe", stderr: "inherit" }));
  const text = await new Response(child.stdout).text();
  await child.exited;
  return answerTimes(text);
}

/** Answers during one load, in milliseconds. */
interface Draw {
  readonly busy: readonly number[];
  readonly load: string;
}

interface Times extends QuietDraws<Draw> {
  readonly idle: readonly number[];
  /** What the machine itself takes under such a load: of a program that does next to nothing. */
  readonly bare?: { readonly who: string; readonly times: readonly number[] };
}

function rowOf(what: string, { draws, when, idle, bare }: Times): Row {
  const { draw, figure: p99, figures } = middleOf(draws, ({ busy }) => p99Of(busy));
  const { busy, load } = draw;
  const bareTime = bare && `; ${bare.who} under another such load: ${time(p99Of(bare.times))}`;
  return {
    what: `${what}, p99 (p50)`,
    measured: `${figures.map(time).join(", ")} (${time(quantile(busy, 0.5))}) of ${busy.length} answers (${load}), ${when}`,
    floor: `${FLOOR_MS} ms`,
    yardstick: `idle: ${time(p99Of(idle))} (${time(quantile(idle, 0.5))})${bareTime ?? ""}`,
    met: busy.length > 0 && p99 <= FLOOR_MS,
  };
}

async function dnsUntil(
  names: string,
  load: Promise<unknown>,
  of?: readonly string[],
): Promise<number[]> {
  let isOver = false;
  const over = load.finally(() => {
    isOver = true;
  });
  const all: number[] = [];
  while (!isOver) all.push(...(await dnsTimes(names, 1, of)));
  await over;
  return all;
}

/** Programs that do next to nothing, under a load of their own: beside ours they would take from it. */
async function bareBesideApi(server: BenchServer, names: string, { straight }: BenchIngress) {
  const answers = await startBareAnswers();
  try {
    const loading = apiLoad(server, DRAWS.triesMax + 1);
    const [, dns, page] = await Promise.all([
      loading,
      dnsUntil(names, loading, answers.at),
      latencies(straight, loading),
    ]);
    return { dns, page };
  } finally {
    await answers.end();
  }
}

/** DNS and Ingress while apibench runs. */
async function besideApi(server: BenchServer, names: string, ingress: BenchIngress) {
  const idle = {
    dns: await dnsTimes(names, IDLE_SECONDS),
    ingress: await latencies(ingress.page, Bun.sleep(IDLE_SECONDS * 1_000)),
  };
  // A server that has just begun compiles its program beside all else.
  await apiLoad(server, 0);
  const { draws, when } = await drawnQuietly(async (round) => {
    const loading = apiLoad(server, round);
    const [loads, ofDns, ofIngress] = await Promise.all([
      loading,
      dnsUntil(names, loading),
      latencies(ingress.page, loading),
    ]);
    const load = `${Math.round(loads["create"]?.perSecond ?? 0)} creates/s`;
    return { dns: { busy: ofDns, load }, ingress: { busy: ofIngress, load } };
  }, DRAWS);
  const bare = await bareBesideApi(server, names, ingress);
  return [
    rowOf("DNS on the server's node while apibench loads the API", {
      draws: draws.map((draw) => draw.dns),
      when,
      idle: idle.dns,
      bare: { who: BARE_ANSWERS, times: bare.dns },
    }),
    rowOf("Ingress there at the same time", {
      draws: draws.map((draw) => draw.ingress),
      when,
      idle: idle.ingress,
      bare: { who: "its endpoint, asked straight", times: bare.page },
    }),
  ];
}

/** The API while the Ingress takes all it can. */
async function besideIngress(server: BenchServer, url: string): Promise<Row> {
  const service = serviceOf(server);
  const idle = await latencies(service, Bun.sleep(IDLE_SECONDS * 1_000));
  const argv = ["wrk", "-t1", "-c16", `-d${WRK_SECONDS}s`, url];
  const draws = await drawnQuietly(async () => {
    const wrk = measuring(() => Bun.spawn(argv, { stdin: "ignore", stdout: "pipe" }));
    const busy = await latencies(service, wrk.exited);
    const text = await new Response(wrk.stdout).text();
    const rate = Number(/Requests\/sec:\s+([\d.]+)/.exec(text)?.[1]);
    return { busy, load: `${Math.round(rate)}/s` };
  }, DRAWS);
  return rowOf("GET of the API under Ingress load", { ...draws, idle });
}

export async function busyRows(): Promise<Row[]> {
  const containerd = await openContainerd(BRAMBLE);
  const dir = benchDir("busy");
  const end = whenOver(() => forget(dir));
  const http = await freePort();
  const flags = ["--http-port", String(http), "--tls-port", String(await freePort())];
  const server = await startServer({ binary: BRAMBLE, containerd, flags });
  try {
    const names = join(dir, "names");
    writeFileSync(names, "kubernetes.default.svc.cluster.local A\n");
    // The node's part of the server follows the API by a moment.
    for (let i = 0; i < 100 && (await dnsTimes(names, 1)).length === 0; i++) await Bun.sleep(100);
    const ingress = await openIngress(server, http);
    try {
      const rows = await besideApi(server, names, ingress);
      return [...rows, await besideIngress(server, ingress.page.url)];
    } finally {
      await ingress.stop();
    }
  } finally {
    await server.end();
    await containerd.close();
    await end();
  }
}
