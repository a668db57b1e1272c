/**
 * Clients on the lab's LAN that create, read, change and delete a few keys through several servers:
 * `bun labkeys.ts PLAN`, with a `Plan` as JSON, goes on until SIGTERM, then reads each key again
 * from each server and prints what was seen of each, as pairs of name and events.
 */
import { type Histories, playClient, read } from "#test/support/keyclient.ts";
import type { Lab } from "#test/support/lab.ts";
import { runLabProgram, startLabProgram } from "#test/support/labprogram.ts";
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

/** The answer ends it. */
export function startLabKeys(lab: Lab, plan: Plan, path: string): () => Promise<Histories> {
  const end = startLabProgram<Plan, Array<[string, Event[]]>>(lab, import.meta.path, plan, path);
  return async () => new Map(await end());
}

if (import.meta.main) await runLabProgram<Plan>(async (...how) => [...(await play(...how))]);
