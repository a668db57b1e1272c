/**
 * Clients on the lab's LAN that create, read, change and delete a few keys through several servers:
 * `bun labkeys.ts PLAN`, with a `Plan` as JSON, goes on until SIGTERM, then reads each key again
 * from each server and prints what was seen of each, as pairs of name and events.
 */
import { readFileSync } from "node:fs";
import { type Histories, playClient, read } from "#test/support/keyclient.ts";
import type { Lab } from "#test/support/lab.ts";
import type { Event } from "#test/support/linear.ts";
import { seededRandom } from "#test/support/random.ts";

export interface Plan {
  readonly urls: readonly string[];
  readonly token: string;
  readonly names: readonly string[];
  readonly seed: number;
}

const CLIENTS = 6;
/** Of a server without power no answer comes: its clients go on at another one. */
const ANSWER_MS_MAX = 3_000;

async function play({ names, seed, ...rest }: Plan, isOver: () => boolean): Promise<Histories> {
  const histories: Histories = new Map(names.map((name) => [name, []]));
  const random = seededRandom(seed);
  const common = { ...rest, random, answerMsMax: ANSWER_MS_MAX };
  const clients = Array.from({ length: CLIENTS }, (_, i) =>
    playClient({ ...common, id: `c${i}` }, histories, isOver),
  );
  await Promise.all(clients);
  for (const [name, events] of histories) {
    for (const url of rest.urls) await read({ url, token: rest.token, name }, events);
  }
  return histories;
}

/** What it prints goes to the new file `path`; the answer ends it. */
export function startLabKeys(lab: Lab, plan: Plan, path: string): () => Promise<Histories> {
  const argv = [process.execPath, import.meta.path, JSON.stringify(plan)];
  const child = lab.spawn("lan", path, ...argv);
  return async () => {
    child.kill("SIGTERM");
    await child.exited;
    return new Map(JSON.parse(readFileSync(path, "utf8")) as Array<[string, Event[]]>);
  };
}

if (import.meta.main) {
  let over = false;
  process.on("SIGTERM", () => {
    over = true;
  });
  const plan = JSON.parse(process.argv[2] ?? "{}") as Plan;
  console.log(JSON.stringify([...(await play(plan, () => over))]));
}
