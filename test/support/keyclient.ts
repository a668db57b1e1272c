/** Clients of one ConfigMap each time, whose operations are written down as they saw them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "#base/random.ts";
import { type Event, isLinearizable, type Operation } from "#test/support/linear.ts";

const PATH = "/api/v1/namespaces/default/configmaps";
const ANSWER_MS_MAX = 15_000;
const PAUSE_MS_MAX = 20;

export interface Target {
  /** Of the server to ask. */
  readonly url: string;
  readonly token: string;
  readonly name: string;
  /** What takes longer is unknown. */
  readonly answerMsMax?: number;
}

interface Answer {
  readonly status: number;
  readonly object?: { data?: { value?: string }; metadata?: { resourceVersion?: string } };
}

async function ask(target: Target, method: string, path: string, body?: object): Promise<Answer> {
  try {
    const answer = await fetch(`${target.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${target.token}`, "content-type": "application/json" },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      tls: { rejectUnauthorized: false },
      signal: AbortSignal.timeout(target.answerMsMax ?? ANSWER_MS_MAX),
    });
    return { status: answer.status, object: (await answer.json()) as Answer["object"] & object };
  } catch {
    return { status: 0 };
  }
}

/** 409 of a create or of a compare-and-set, 404; anything else that is no success says nothing. */
function outcomeOf(status: number): Event["outcome"] {
  if (status === 200 || status === 201) return "done";
  if (status === 409) return "refused";
  return status === 404 ? "absent" : "unknown";
}

export interface Seen {
  readonly value: string;
  readonly revision: string;
}

async function recorded(
  operation: Operation,
  events: Event[],
  act: () => Promise<Answer>,
): Promise<Answer & { outcome: Event["outcome"] }> {
  const calledAt = performance.now();
  const answer = await act();
  const outcome = outcomeOf(answer.status);
  const event = { operation, outcome, calledAt, answeredAt: performance.now() };
  const value = answer.object?.data?.value;
  const isRead = operation.kind === "get" && outcome === "done" && value !== undefined;
  events.push(isRead ? { ...event, value } : event);
  return { ...answer, outcome };
}

/** Answers what stands there; undefined: nothing, or no answer came. */
export async function read(target: Target, events: Event[]): Promise<Seen | undefined> {
  const path = `${PATH}/${target.name}`;
  const get = () => ask(target, "GET", path);
  const { object, outcome } = await recorded({ kind: "get" }, events, get);
  const value = object?.data?.value;
  const revision = object?.metadata?.resourceVersion;
  if (outcome !== "done" || value === undefined || revision === undefined) return undefined;
  return { value, revision };
}

export async function create(target: Target, value: string, events: Event[]): Promise<void> {
  const body = { metadata: { name: target.name }, data: { value } };
  await recorded({ kind: "create", value }, events, () => ask(target, "POST", PATH, body));
}

export async function update(
  target: Target,
  { before, value }: { before: Seen; value: string },
  events: Event[],
): Promise<void> {
  const metadata = { name: target.name, resourceVersion: before.revision };
  const put = () => ask(target, "PUT", `${PATH}/${target.name}`, { metadata, data: { value } });
  await recorded({ kind: "update", before: before.value, value }, events, put);
}

export async function remove(target: Target, before: Seen, events: Event[]): Promise<void> {
  const body = { preconditions: { resourceVersion: before.revision } };
  const act = () => ask(target, "DELETE", `${PATH}/${target.name}`, body);
  await recorded({ kind: "delete", before: before.value }, events, act);
}

/** What was seen of each key, by its name. */
export type Histories = ReadonlyMap<string, Event[]>;

export interface KeyClient {
  readonly id: string;
  readonly urls: readonly string[];
  readonly token: string;
  readonly answerMsMax?: number;
  readonly random: Pick<Random, "next">;
}

/** One client: does this and that, at whichever server, until it shall stop. */
export async function playClient(
  { id, urls, random, ...rest }: KeyClient,
  histories: Histories,
  isOver: () => boolean,
): Promise<void> {
  const pick = <T>(all: readonly T[]): T => all[Math.floor(random.next() * all.length)] as T;
  const names = [...histories.keys()];
  const known = new Map<string, Seen | undefined>();
  for (let i = 0; !isOver(); i++) {
    const name = pick(names);
    const events = histories.get(name) ?? [];
    const target = { ...rest, url: pick(urls), name };
    const value = `${id}-${i}`;
    const before = known.get(name);
    const chance = random.next();
    if (before === undefined || chance < 0.35) {
      known.set(name, await read(target, events));
      if (known.get(name) === undefined && chance < 0.8) await create(target, value, events);
    } else if (chance < 0.85) {
      await update(target, { before, value }, events);
      known.delete(name);
    } else {
      await remove(target, before, events);
    }
    await Bun.sleep(random.next() * PAUSE_MS_MAX);
  }
}

/** How often each operation had each outcome, added to what was before. */
export function countOutcomes(histories: Histories, totals: Record<string, number>): void {
  for (const { operation, outcome } of [...histories.values()].flat()) {
    const what = `${operation.kind} ${outcome}`;
    totals[what] = (totals[what] ?? 0) + 1;
  }
}

/** @throws where a key's history, which goes to a file then, has no order. `when`: of what. */
export function assertOrdered(histories: Histories, seed: number, when: string): void {
  for (const [name, events] of histories) {
    if (isLinearizable(events)) continue;
    const path = join("/tmp", `not-linearizable-${seed}-${name}.json`);
    writeFileSync(path, JSON.stringify({ when, events }, undefined, 1));
    throw new Error(`seed ${seed}, ${when}: ${name} has no order, see ${path}`);
  }
}
