/**
 * Requests from a laptop on the lab's LAN, for as long as wanted, and what became of them:
 * `bun labload.ts TARGETS`, with `Target`s as JSON, asks until SIGTERM and then prints `Said`.
 */
import { messageOf } from "#base/errors.ts";
import type { Lab } from "#test/support/lab.ts";
import { runLabProgram, startLabProgram } from "#test/support/labprogram.ts";
import { plainGet } from "#test/support/plainget.ts";

const REQUEST_EVERY_MS = 25;
const ANSWER_MS_MAX = 10_000;

/** Where to, and the name of the host that is asked for. */
export type Target = readonly [url: string, host: string];

export interface Said {
  readonly sent: number;
  /** When each was asked, where, and how far it came. */
  readonly lost: readonly string[];
}

/** What the kernel knows of the connection: what was confirmed, what is sent again, since when. */
function connectionAt(localPort: number): string {
  const argv = ["ss", "-Htnoi", `sport = :${localPort}`];
  return Bun.spawnSync(argv).stdout.toString().replace(/\s+/g, " ").trim();
}

/** Why an answer is none that the web server gives; undefined where it is one. */
async function lossOf([url, host]: Target): Promise<string | undefined> {
  const options = { host, answerMsMax: ANSWER_MS_MAX, look: connectionAt };
  try {
    const { status, body } = await plainGet(url, options);
    return status === 200 && body.startsWith("hello") ? undefined : `${status}`;
  } catch (error) {
    return messageOf(error);
  }
}

async function ask(targets: readonly Target[], isOver: () => boolean): Promise<Said> {
  const lost: string[] = [];
  let sent = 0;
  for (; !isOver(); sent++) {
    const target = targets[sent % targets.length];
    const at = new Date().toISOString();
    const loss = target && (await lossOf(target));
    if (loss !== undefined) lost.push(`${at} ${target?.[0]} ${loss}`);
    await Bun.sleep(REQUEST_EVERY_MS);
  }
  return { sent, lost };
}

export const startLabLoad = (
  lab: Lab,
  targets: readonly Target[],
  path: string,
): (() => Promise<Said>) => startLabProgram(lab, import.meta.path, targets, path);

if (import.meta.main) await runLabProgram(ask);
