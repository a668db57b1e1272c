/** The node's DNS under dnsperf: as many answers as it can, and the time of each at 5,000/s. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { measuring } from "#test/bench/ends.ts";
import { drawn, middleOf, p99Of, type Row, time } from "#test/bench/network/rows.ts";
import { must, type Site, type SiteNode } from "#test/host/network/site.ts";

const SECONDS = 5;
const RATE_DRAWS = 3;
const TIMES_DRAWS = 5;
/** What any program takes here. */
const BARE = "a program that only sends queries back";

/** Name and its answer time in seconds, as dnsperf tells it with -v. */
const ANSWER = /^> NOERROR \S+ \S+ ([\d.]+)/gm;

/** In milliseconds, of dnsperf's words. */
export const answerTimes = (text: string): number[] =>
  [...text.matchAll(ANSWER)].map((match) => Number(match[1]) * 1_000);

const OURS = ["-s", "10.43.0.10"];

/** Its words, which go to a file: who reads them meanwhile takes time from those measured. */
async function dnsperf(node: SiteNode, dir: string, ...flags: string[]): Promise<string> {
  const told = join(dir, "told");
  const common = ["dnsperf", "-l", String(SECONDS), "-c", "8", "-T", "1", "-q", "100"];
  await must(
    (argv, options) => node.run(argv, { ...options, timeoutMs: 60_000 }),
    ["sh", "-c", 'exec "$@" > "$0"', told, ...common, ...flags],
  );
  return readFileSync(told, "utf8");
}

/** Measures beside a program in a process of its own. `said`: its first words. */
async function beside<T>(
  { netns }: SiteNode,
  program: string,
  measure: (said: string) => Promise<T>,
): Promise<T> {
  const path = join(import.meta.dir, program);
  const argv = ["nsenter", `--net=/run/netns/${netns}`, process.execPath, path];
  const server = measuring(() =>
    Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" }),
  );
  try {
    const { value } = await server.stdout.getReader().read();
    return await measure(new TextDecoder().decode(value).trim());
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
  /** What ours and the other program told, in turns: the machine changes from second to second. */
  const told = (port: string, count: number, ...flags: string[]) =>
    drawn(async () => {
      const words = (of: string[]) => dnsperf(node, dir, ...of, "-d", names, ...flags);
      return { ours: await words(OURS), bare: await words(["-s", "127.0.0.1", "-p", port]) };
    }, count);
  const draws = await beside(node, "dnsserver.ts", () =>
    beside(node, "bareanswers.ts", async (port) => ({
      rates: await told(port, RATE_DRAWS),
      times: await told(port, TIMES_DRAWS, "-Q", "5000", "-v"),
    })),
  );
  const most = middleOf(draws.rates, ({ ours }) => rateOf(ours));
  const slow = middleOf(draws.times, ({ ours }) => p99Of(answerTimes(ours)));
  const lost = /Queries lost:\s+(.*)/.exec(most.draw.ours)?.[1] ?? "?";
  const count = (rate: number) => Math.round(rate).toLocaleString("en");
  const bareRates = middleOf(draws.rates, ({ bare }) => rateOf(bare)).figures;
  const bareTimes = middleOf(draws.times, ({ bare }) => p99Of(answerTimes(bare))).figures;
  const answers = answerTimes(slow.draw.ours).length;
  return [
    {
      what: "DNS: cached A, dnsperf on the same cores",
      measured: `${most.figures.map(count).join(", ")} a second, lost ${lost}`,
      floor: "50,000/s",
      yardstick: `${BARE}: ${bareRates.map(count).join(", ")}`,
      met: most.figure >= 50_000,
    },
    {
      what: "DNS: p99 at 5,000/s",
      measured: `${slow.figures.map(time).join(", ")} of ${answers} answers`,
      floor: "2 ms",
      yardstick: `${BARE}: ${bareTimes.map(time).join(", ")}`,
      met: answers >= SECONDS * 4_900 && slow.figure <= 2,
    },
  ];
}
