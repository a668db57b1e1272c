/** Clients of one ConfigMap each time, whose operations are written down as they saw them. */
import type { Event, Operation } from "#test/support/linear.ts";

const PATH = "/api/v1/namespaces/default/configmaps";
const ANSWER_MS_MAX = 15_000;

export interface Target {
  /** Of the server to ask. */
  readonly url: string;
  readonly token: string;
  readonly name: string;
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
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
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
