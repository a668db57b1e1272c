/** The node's DNS under dnsperf: as many answers as it can, and the time of each at 5,000/s. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BARE_ANSWERS, startBareAnswers, startHelper } from "#test/bench/network/helpers.ts";
import { drawnQuietly } from "#test/bench/network/quiet.ts";
import { middleOf, p99Of, type Row, time } from "#test/bench/network/rows.ts";
import { must, type Site, type SiteNode } from "#test/host/network/site.ts";

const SECONDS = 2;
const DRAWS = { count: 7, triesMax: 21 };
const PER_SECOND = 5_000;

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

const rateOf = (text: string): number => Number(/Queries per second:\s+([\d.]+)/.exec(text)?.[1]);
const lostOf = (text: string): string => /Queries lost:\s+(.*)/.exec(text)?.[1] ?? "?";

/** Of the node's DNS and of the other program, in turns: the machine changes between seconds. */
async function draws(node: SiteNode, dir: string) {
  const names = join(dir, "names");
  const lines = Array.from({ length: 1_000 }, (_, i) => `s${i}.default.svc.cluster.local A`);
  writeFileSync(names, `${lines.join("\n")}\n`);
  const before = ["nsenter", `--net=/run/netns/${node.netns}`];
  const server = await startHelper("dnsserver.ts", { before });
  const bareAnswers = await startBareAnswers(before);
  const told = <T>(read: (text: string) => T, flags: readonly string[]) =>
    drawnQuietly(async () => {
      const words = (at: readonly string[]) => dnsperf(node, dir, ...at, "-d", names, ...flags);
      return { ours: read(await words(OURS)), bare: read(await words(bareAnswers.at)) };
    }, DRAWS);
  try {
    const rates = await told((text) => ({ rate: rateOf(text), lost: lostOf(text) }), []);
    const times = await told(answerTimes, ["-Q", String(PER_SECOND), "-v"]);
    return { rates, times };
  } finally {
    await bareAnswers.end();
    await server.end();
  }
}

export async function dnsRows(site: Site, dir: string): Promise<Row[]> {
  const [node] = site.nodes as [SiteNode];
  const { rates, times } = await draws(node, dir);
  const most = middleOf(rates.draws, ({ ours }) => ours.rate);
  const slow = middleOf(times.draws, ({ ours }) => p99Of(ours));
  const count = (rate: number) => Math.round(rate).toLocaleString("en");
  const bareRates = middleOf(rates.draws, ({ bare }) => bare.rate).figures;
  const bareTimes = middleOf(times.draws, ({ bare }) => p99Of(bare)).figures;
  const answers = slow.draw.ours.length;
  return [
    {
      what: "DNS: cached A, dnsperf on the same cores",
      measured: `${most.figures.map(count).join(", ")} a second, lost ${most.draw.ours.lost}, ${rates.when}`,
      floor: "50,000/s",
      yardstick: `${BARE_ANSWERS}: ${bareRates.map(count).join(", ")}`,
      met: most.figure >= 50_000,
    },
    {
      what: "DNS: p99 at 5,000/s",
      measured: `${slow.figures.map(time).join(", ")} of ${answers} answers, ${times.when}`,
      floor: "2 ms",
      yardstick: `${BARE_ANSWERS}: ${bareTimes.map(time).join(", ")}`,
      met: answers >= SECONDS * PER_SECOND * 0.98 && slow.figure <= 2,
    },
  ];
}
