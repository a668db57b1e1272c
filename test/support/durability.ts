/** Kills a writing process at random moments and counts what was acknowledged and is not there. */
import { join } from "node:path";
import type { Random } from "#base/random.ts";
import { openTestStore } from "#test/support/store.ts";
import { textOf } from "#test/support/suites/store.ts";

export interface Toll {
  rounds: number;
  acknowledged: number;
  /** Descriptions of what was lost or went back; empty is the only good answer. */
  lost: string[];
}

interface Promised {
  revision: number;
  /** Undefined: deleted. */
  text: string | undefined;
}

export interface Report {
  /** The newest acknowledged state of each key. */
  readonly promised: Map<string, Promised>;
  /** Deletes that were begun: key and the revision that they were to remove. */
  readonly tries: Set<string>;
  /** The newest revision that anyone was told. */
  newest: number;
  acknowledged: number;
  /** Reasons of writes that the disk refused. */
  readonly refused: Set<string>;
}

export function readReport(text: string): Report {
  const report: Report = {
    promised: new Map(),
    tries: new Set(),
    newest: 0,
    acknowledged: 0,
    refused: new Set(),
  };
  // A line that the kill cut off was not acknowledged to anyone.
  for (const line of text.split("\n").slice(0, -1)) {
    const [key = "", number = "0", value = ""] = line.split(" ");
    if (key === "try") {
      report.tries.add(`${number}@${value}`);
      continue;
    }
    if (key === "refused") {
      report.refused.add(line.slice("refused ".length));
      continue;
    }
    const revision = Number(number);
    report.newest = Math.max(report.newest, revision);
    if (key === "open" || key === "lazy") continue;
    report.acknowledged++;
    const before = report.promised.get(key);
    if (before === undefined || before.revision < revision) {
      report.promised.set(key, { revision, text: value === "-" ? undefined : value });
    }
  }
  return report;
}

/** What is wrong at a key. A later state may stand there: the kill came before the answer. */
function lossAt(
  key: string,
  { revision, text }: Promised,
  report: Report,
  found: Found | undefined,
): string | undefined {
  if (found === undefined) {
    const gone = text === undefined || report.tries.has(`${key}@${revision}`);
    return gone ? undefined : `${key}@${revision} is missing`;
  }
  if (found.revision > revision) return undefined;
  const same = found.revision === revision && found.text === text;
  return same ? undefined : `${key}@${revision} stands at ${found.revision}`;
}

interface Found {
  readonly revision: number;
  readonly text: string | undefined;
}

/** What stands in a datastore; as `storedump.ts` prints it. */
export interface Standing {
  readonly revision: number;
  readonly items: Readonly<Record<string, Found>>;
}

export async function standingIn(path: string): Promise<Standing> {
  const store = await openTestStore(path);
  try {
    const { items } = await store.list({ prefix: "core/pods/" });
    return {
      revision: store.revision(),
      items: Object.fromEntries(
        items.map((item) => [item.key, { revision: item.revision, text: textOf(item) }]),
      ),
    };
  } finally {
    await store.close();
  }
}

/** What was promised and does not stand there. */
export function lossesOf(report: Report, standing: Standing): string[] {
  const { revision, items } = standing;
  const back =
    revision < report.newest ? [`revision ${report.newest} went back to ${revision}`] : [];
  const lost = [...report.promised].map(([key, promise]) =>
    lossAt(key, promise, report, items[key]),
  );
  return [...back, ...lost.filter((line) => line !== undefined)];
}

async function checkRound(path: string, text: string, toll: Toll): Promise<void> {
  const report = readReport(text);
  toll.acknowledged += report.acknowledged;
  toll.lost.push(...lossesOf(report, await standingIn(path)));
}

export interface KillOptions {
  readonly dir: string;
  readonly rounds: number;
  readonly random: Random;
  readonly writers?: number;
  readonly lifeMsMax?: number;
}

/** Every round goes on with the database that the last one left. */
export async function killRounds(options: KillOptions): Promise<Toll> {
  const toll: Toll = { rounds: 0, acknowledged: 0, lost: [] };
  const path = join(options.dir, "killed.db");
  const script = join(import.meta.dir, "storewriter.ts");
  for (; toll.rounds < options.rounds; toll.rounds++) {
    const argv = ["bun", script, path, String(options.writers ?? 16)];
    const child = Bun.spawn(argv, { stdout: "pipe", stderr: "inherit", stdin: "ignore" });
    const reader = child.stdout.getReader();
    const chunks: Uint8Array[] = [];
    const first = await reader.read();
    if (first.value !== undefined) chunks.push(first.value);
    const lifeMs = options.random.next() * (options.lifeMsMax ?? 150);
    const timer = setTimeout(() => child.kill("SIGKILL"), lifeMs);
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value);
    }
    clearTimeout(timer);
    await child.exited;
    if (child.signalCode !== "SIGKILL") throw new Error(`the writer ended with ${child.exitCode}`);
    await checkRound(path, Buffer.concat(chunks).toString("utf8"), toll);
  }
  return toll;
}
