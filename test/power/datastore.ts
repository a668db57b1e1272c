/**
 * True power cuts of a machine whose datastore is being written: whatever was acknowledged stands
 * there afterwards. Then the same with a disk that fails every write (I/O error): a clear refusal,
 * and nothing lost. A full disk has a test of its own (`test/e2e/fulldisk.test.ts`).
 *
 *   bun run test:power [--rounds 50] [--seed N] [--slow-disk 50]
 *
 * About 25 seconds a round on two cores. The last line is a summary in JSON; status 1 if anything
 * acknowledged is missing, or a disk's fault went unnoticed.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { must } from "#base/assert.ts";
import { realClock, sleep } from "#base/clock.ts";
import { lossesOf, type Report, readReport, type Standing } from "#test/support/durability.ts";
import { mustRun } from "#test/support/instance.ts";
import { seededRandom } from "#test/support/random.ts";

const ROOT = join(import.meta.dir, "../..");
const VM = join(ROOT, "test/lab/vm");
const WRITER = join(ROOT, "test/support/storewriter.ts");
const DUMP = join(ROOT, "test/support/storedump.ts");
const DATABASE = "/var/lib/power/state.db";
const WRITERS = "8";
/** From the first acknowledged write to the cut. */
const LIFE_MS_MAX = 4_000;
const COMMAND_MS_MAX = 120_000;

const { values: flags } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seed: { type: "string" },
    "slow-disk": { type: "string" },
  },
});
const rounds = Number(flags.rounds);
const seed = Number(flags.seed ?? Date.now() % 1e9);
const random = seededRandom(seed);
const name = `datastore-${process.pid}`;
const bun = process.execPath;

const vm = (...argv: string[]): Promise<string> =>
  mustRun([VM, ...argv], { timeoutMs: COMMAND_MS_MAX });
const inside = (...argv: string[]): Promise<string> => vm("exec", name, "--", ...argv);

interface Writing {
  /** What was printed so far. */
  text(): string;
  /** Waits for a line in what comes after `from`; throws when the writer ended or took too long. */
  until(pattern: RegExp, from?: number): Promise<void>;
  end(): Promise<void>;
}

/** Writes in the machine; what reaches this side was acknowledged. */
function write(): Writing {
  const child = Bun.spawn([VM, "exec", name, "--", bun, WRITER, DATABASE, WRITERS], {
    cwd: ROOT,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  let text = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const chunk of child.stdout) text += decoder.decode(chunk, { stream: true });
  })();
  return {
    text: () => text,
    async until(pattern, from = 0) {
      const end = performance.now() + COMMAND_MS_MAX;
      while (!pattern.test(text.slice(from))) {
        if (child.exitCode !== null) {
          throw new Error(`the writer ended: ${await new Response(child.stderr).text()}`);
        }
        if (performance.now() > end) throw new Error(`no ${pattern} from the writer`);
        await sleep(realClock, 20);
      }
    },
    async end() {
      child.kill("SIGTERM");
      await Promise.race([Promise.all([child.exited, reading]), sleep(realClock, 5_000)]);
    },
  };
}

const total = { rounds: 0, acknowledged: 0, lost: 0, refused: [] as string[], seed };
const FIRST = /^core\/\S+ \d+ /m;

async function check(report: Report, what: string): Promise<void> {
  const standing = JSON.parse(await inside(bun, DUMP, DATABASE)) as Standing;
  const lost = lossesOf(report, standing);
  total.rounds += 1;
  total.acknowledged += report.acknowledged;
  total.lost += lost.length;
  total.refused.push(...report.refused);
  const count = `${report.acknowledged} acknowledged, ${lost.length} lost`;
  console.error(`${what}: ${count}${report.refused.size > 0 ? `, ${[...report.refused]}` : ""}`);
  for (const line of lost.slice(0, 10)) console.error(`  ${line}`);
}

async function cutAndBoot(writing: Writing): Promise<void> {
  await vm("cut", name);
  await writing.end();
  await vm("boot", name);
}

async function powerCut(round: number): Promise<void> {
  const writing = write();
  await writing.until(FIRST);
  const lifeMs = random.next() * LIFE_MS_MAX;
  await sleep(realClock, lifeMs);
  await cutAndBoot(writing);
  await check(readReport(writing.text()), `cut ${round} after ${Math.round(lifeMs)} ms`);
}

async function ioError(): Promise<void> {
  const writing = write();
  await writing.until(FIRST);
  await vm("io-error", name, "on");
  await writing.until(/^refused /m);
  await vm("io-error", name, "off");
  await cutAndBoot(writing);
  await check(readReport(writing.text()), "I/O errors, then a cut");
}

const slow = flags["slow-disk"] === undefined ? [] : ["--slow-disk", flags["slow-disk"]];
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => void vm("down", name).finally(() => process.exit(1)));
}
try {
  await vm("up", name, "--mem", "768M", "--disk", "128M", ...slow);
  await inside("mkdir", "-p", "/var/lib/power");
  for (let round = 0; round < rounds; round += 1) await powerCut(round);
  await ioError();
} finally {
  await vm("down", name);
}
must(total.refused.length > 0, "refusals");
console.log(JSON.stringify(total));
process.exitCode = total.lost === 0 ? 0 : 1;
