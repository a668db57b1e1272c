/**
 * Many objects and many watches held under a steady mix of reads and writes: the server's memory
 * does not grow after the first minute, and a GET is answered in time.
 *
 *   bun run bench:soak [--seconds 600] [--objects 20000] [--watchers 1000] [--rate 200]
 *
 * The last line is a summary in JSON; status 1 where a bound is broken.
 */
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { parseArgs } from "node:util";
import { measureAll, measuring } from "#test/bench/ends.ts";
import { buildBramble, loadProgram } from "#test/bench/programs.ts";
import { type BenchServer, startServer } from "#test/bench/server.ts";
import { median } from "#test/bench/statistics.ts";

const GET_P99_MS_MAX = 50;
/**
 * The middle of the last minute over that of the second one: garbage that waits for its collection
 * comes and goes meanwhile.
 */
const GROWTH_MAX = 1.05;
const MINUTE = 60;

interface Look {
  readonly seconds: number;
  readonly gets: number;
  readonly p50_ms: number;
  readonly p99_ms: number;
  readonly events: number;
  readonly watchers: number;
  readonly errors: number;
  readonly rssMb: number;
}

const { values: flags } = parseArgs({
  options: {
    seconds: { type: "string", default: "600" },
    objects: { type: "string", default: "20000" },
    watchers: { type: "string", default: "1000" },
    rate: { type: "string", default: "200" },
  },
});

function rssMbOf(pid: number): number {
  const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return Math.round(Number(kb) / 1024);
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
}

async function hold(server: BenchServer): Promise<Look[]> {
  const options = Object.entries(flags).flatMap(([name, value]) => [`-${name}`, value]);
  const target = ["-server", server.url, "-token", server.token];
  const program = await loadProgram("soak");
  const child = measuring(() =>
    Bun.spawn([program, ...target, ...options], { stdin: "ignore", stdout: "pipe" }),
  );
  const looks: Look[] = [];
  for await (const text of linesOf(child.stdout)) {
    const look: Look = { ...JSON.parse(text), rssMb: rssMbOf(server.pid) };
    console.error(JSON.stringify(look));
    looks.push(look);
  }
  if ((await child.exited) !== 0) throw new Error(`the load ended with ${child.exitCode}`);
  return looks;
}

/** What was broken, in words. */
function faultsOf(looks: readonly Look[]): string[] {
  const last = looks.at(-1);
  if (last === undefined || last.seconds < 3 * MINUTE) return ["it ran for less than 3 minutes"];
  const rssMbOfMinute = (until: number): number =>
    median(
      looks.flatMap(({ seconds, rssMb }) =>
        seconds > until - MINUTE && seconds <= until ? [rssMb] : [],
      ),
    );
  const [first, final] = [rssMbOfMinute(2 * MINUTE), rssMbOfMinute(last.seconds)];
  const late = looks.filter(({ p99_ms }) => p99_ms > GET_P99_MS_MAX);
  return [
    ...(last.errors > 0 ? [`${last.errors} requests failed`] : []),
    ...(last.watchers < Number(flags.watchers) ? [`${last.watchers} watches are left`] : []),
    ...(final > first * GROWTH_MAX ? [`${first} MB grew to ${final} MB`] : []),
    ...late.map(({ seconds, p99_ms }) => `p99 of a GET is ${p99_ms} ms at ${seconds} s`),
  ];
}

async function main(): Promise<void> {
  const server = await startServer({ binary: await buildBramble() });
  const looks = await hold(server);
  const faults = faultsOf(looks);
  const p99s = looks.map(({ p99_ms }) => p99_ms).sort((a, b) => a - b);
  const rss = looks.map(({ seconds, rssMb }) => [seconds, rssMb]);
  const load = Math.round((loadavg()[0] ?? 0) * 10) / 10;
  console.log(JSON.stringify({ ...flags, p99MsMax: p99s.at(-1), rss, load, faults }));
  process.exitCode = faults.length > 0 ? 1 : 0;
}

await measureAll(main);
