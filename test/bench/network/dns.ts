/** The node's DNS under dnsperf: as many answers as it can, and the time of each at 5,000/s. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { measuring } from "#test/bench/ends.ts";
import { drawn, middleOf, p99Of, type Row, time } from "#test/bench/network/rows.ts";
import { must, type Site, type SiteNode } from "#test/host/network/site.ts";

const SECONDS = 5;

/** Name and its answer time in seconds, as dnsperf tells it with -v. */
const ANSWER = /^> NOERROR \S+ \S+ ([\d.]+)/gm;

/** In milliseconds, of dnsperf's words. */
export const answerTimes = (text: string): number[] =>
  [...text.matchAll(ANSWER)].map((match) => Number(match[1]) * 1_000);

/** Before all other programs of the machine: what a server does by itself. */
const AHEAD = ["chrt", "--rr", "1"];

async function dnsperf(
  node: SiteNode,
  before: readonly string[],
  ...flags: string[]
): Promise<string> {
  const common = ["dnsperf", "-s", "10.43.0.10", "-l", String(SECONDS), "-c", "8", "-T", "1"];
  return must(
    (argv, options) => node.run(argv, { ...options, timeoutMs: 60_000 }),
    [...before, ...common, ...flags],
  );
}

/** Measures beside the node's DNS in a process of its own. */
async function withServer<T>(
  { netns }: SiteNode,
  before: readonly string[],
  measure: () => Promise<T>,
): Promise<T> {
  const program = join(import.meta.dir, "dnsserver.ts");
  const argv = [...before, "nsenter", `--net=/run/netns/${netns}`, process.execPath, program];
  const server = measuring(() =>
    Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" }),
  );
  try {
    await server.stdout.getReader().read();
    return await measure();
  } finally {
    server.stdin.end();
    await server.exited;
  }
}

const rateOf = (text: string): number => Number(/Queries per second:\s+([\d.]+)/.exec(text)?.[1]);

export async function dnsRows(site: Site, dir: string): Promise<Row[]> {
  const [node] = site.nodes as [SiteNode];
  const names = join(dir, "names");
  const lines = Array.from({ length: 1_000 }, (_, i) => `s${i}.default.svc.cluster.local A`);
  writeFileSync(names, `${lines.join("\n")}\n`);
  const common = ["-d", names, "-q", "100"];
  const timesOf = async (before: readonly string[]) =>
    answerTimes(await dnsperf(node, before, ...common, "-Q", "5000", "-v"));
  const [most, slow] = await withServer(node, [], async () => [
    middleOf(await drawn(() => dnsperf(node, [], ...common)), rateOf),
    middleOf(await drawn(() => timesOf([])), p99Of),
  ]);
  const ahead = await withServer(node, AHEAD, () => timesOf(AHEAD));
  const lost = /Queries lost:\s+(.*)/.exec(most.draw)?.[1] ?? "?";
  const rates = most.figures.map((each) => Math.round(each).toLocaleString("en"));
  return [
    {
      what: "DNS: cached A, dnsperf on the same cores",
      measured: `${rates.join(", ")} a second, lost ${lost}`,
      floor: "50,000/s",
      yardstick: "a spike on this kind of machine: 102,000/s",
      met: most.figure >= 50_000,
    },
    {
      what: "DNS: p99 at 5,000/s",
      measured: `${slow.figures.map(time).join(", ")} of ${slow.draw.length} answers`,
      floor: "2 ms",
      yardstick: `ahead of all other programs: ${time(p99Of(ahead))}; a spike: 357 µs`,
      met: slow.draw.length >= SECONDS * 4_900 && slow.figure <= 2,
    },
  ];
}
