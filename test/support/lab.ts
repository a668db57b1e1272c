/**
 * Several nodes on this machine, driven through `test/lab/lab`; see its README for what each verb
 * stands for.
 */
import { join } from "node:path";
import type { Subprocess } from "bun";

const LAB = join(import.meta.dir, "../lab/lab");
/** Two runs go side by side: the lab of each carries the number of its process. */
export const LAB_ID = process.env["LAB_ID"] ?? `p${process.pid}`;
/** For every call of `lab`. */
export const LAB_ENV: Readonly<Record<string, string | undefined>> = {
  ...process.env,
  LAB_ID,
  LAB_NS: "bramble",
};
/** Another build may be named, so that one that runs for long is not replaced under it. */
export const BRAMBLE = process.env["BRAMBLE_BINARY"] ?? join(import.meta.dir, "../../dist/bramble");

/** Words before a command that runs as a laptop on the lab's LAN. */
export const ON_LAN: readonly string[] = ["env", `LAB_ID=${LAB_ID}`, LAB, "exec", "lan", "--"];

export interface Result {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Time that one verb or command may take. */
const COMMAND_MS_MAX = 120_000;

async function run(argv: readonly string[]): Promise<Result> {
  const child = Bun.spawn([...argv], {
    stdout: "pipe",
    stderr: "pipe",
    env: LAB_ENV,
    timeout: COMMAND_MS_MAX,
  });
  const [stdout, stderr, exitCode] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { exitCode, stdout, stderr };
}

async function verb(...argv: string[]): Promise<string> {
  const result = await run([LAB, ...argv]);
  if (result.exitCode !== 0) throw new Error(`lab ${argv.join(" ")}: ${result.stderr}`);
  return result.stdout;
}

/** Address of node `nK` on the lab's switch. */
export const addressOf = (node: string): string => `192.168.77.${10 + Number(node.slice(1))}`;

export interface Lab {
  /** Runs a command in a node (`n1` …) or on the LAN (`lan`). */
  exec(node: string, ...argv: string[]): Promise<Result>;
  /** As `exec`, but throws for a status other than 0; answers stdout. */
  must(node: string, ...argv: string[]): Promise<string>;
  /** Starts a command that lives until it is stopped or its node is cut; output goes to a file. */
  spawn(node: string, log: string, ...argv: string[]): Subprocess;
  cut(node: string): Promise<void>;
  boot(node: string): Promise<void>;
  renumber(node: string, address: string): Promise<void>;
  partition(node: string): Promise<void>;
  heal(node: string): Promise<void>;
  down(): Promise<void>;
}

export interface LabOptions {
  /** Archives that each node loads. */
  images?: readonly string[];
  /** Limits such as `512M`: of n1, of n2, …; the last is that of all others. */
  memory?: readonly string[];
}

/** A fresh lab of `count` nodes with images loaded; one of this process is taken down first. */
export async function startLab(count: number, options: LabOptions = {}): Promise<Lab> {
  const { images = [], memory = [] } = options;
  await verb("down");
  const limits = memory.length > 0 ? ["--mem", memory.join()] : [];
  await verb("up", String(count), ...images.flatMap((path) => ["--image", path]), ...limits);
  const exec = (node: string, ...argv: string[]) => run([LAB, "exec", node, "--", ...argv]);
  return {
    exec,
    async must(node, ...argv) {
      const result = await exec(node, ...argv);
      if (result.exitCode !== 0) {
        throw new Error(`${node}: ${argv.join(" ")}: ${result.stderr || result.stdout}`);
      }
      return result.stdout;
    },
    spawn(node, log, ...argv) {
      const file = Bun.file(log);
      const argvIn = [LAB, "exec", node, "--", ...argv];
      return Bun.spawn(argvIn, { stdout: file, stderr: file, env: LAB_ENV });
    },
    cut: async (node) => void (await verb("cut", node)),
    boot: async (node) => void (await verb("boot", node)),
    renumber: async (node, address) => void (await verb("renumber", node, address)),
    partition: async (node) => void (await verb("partition", node, "silent")),
    heal: async (node) => void (await verb("heal", node)),
    down: async () => void (await verb("down")),
  };
}

/**
 * Waits until `probe` answers something; one that throws has not. Throws with `what` and the last
 * reason after the limit.
 */
export async function until<T>(
  what: string | (() => string),
  limitMs: number,
  probe: () => Promise<T | undefined | false>,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    let cause: unknown;
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      const missing = typeof what === "string" ? what : what();
      throw new Error(`not within ${limitMs} ms: ${missing}`, { cause });
    }
    await Bun.sleep(100);
  }
}

/** Times that something is tried which has to be quick: others on the machine may hold it up. */
const TRIES = 3;

/**
 * What took the least milliseconds of some tries: of one, if that was within the limit. `attempt`
 * waits for the end itself, answers what it took, and has nothing left to do for the next one.
 */
export async function quickest(
  limitMs: number,
  attempt: (at: number) => Promise<number>,
): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let at = 0; at < TRIES && best >= limitMs; at++) best = Math.min(best, await attempt(at));
  return best;
}
