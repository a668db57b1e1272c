/** Watches by path, and waiting for something to become true of an object. */
import { TimeoutError } from "#base/errors.ts";
import { type Call, StatusFailure, send } from "#cli/api.ts";
import type { Session } from "#cli/session.ts";
import { readLines } from "#client/lines.ts";
import type { Stored } from "#resources/meta.ts";

export interface WatchEvent<T = Stored> {
  type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  object: T;
}

/** Ends when the server ends it. @throws StatusFailure for an error event. */
export async function* watch<T>(session: Session, call: Call): AsyncGenerator<WatchEvent<T>> {
  const query = { ...call.query, watch: true };
  const response = await send(session.client, { ...call, query });
  for await (const line of readLines(response, call.signal)) {
    const event = JSON.parse(line) as WatchEvent<T> | { type: "ERROR"; object: StatusFailure };
    if (event.type !== "ERROR") yield event;
    else throw new StatusFailure(event.object.code, event.object.reason, event.object.message);
  }
}

export interface WaitOptions {
  /** Undefined: for ever. */
  timeoutMs: number | undefined;
  /** Said when the time is over. */
  late: string;
}

/**
 * Shows every state of one object, the present one first, until `done` says so. Undefined is the
 * object that is not there.
 * @throws TimeoutError
 */
export async function waitFor<T extends Stored>(
  session: Session,
  where: { collection: string; name: string },
  done: (object: T | undefined) => boolean,
  options: WaitOptions,
): Promise<void> {
  const ending = new AbortController();
  const { timeoutMs, late } = options;
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => ending.abort(), timeoutMs);
  const query = { fieldSelector: `metadata.name=${where.name}` };
  const { signal } = ending;
  try {
    while (!signal.aborted) {
      const response = await send(session.client, { path: where.collection, query, signal });
      const list = (await response.json()) as { items: T[]; metadata: { resourceVersion: string } };
      if (done(list.items[0])) return;
      const { resourceVersion } = list.metadata;
      const call = { path: where.collection, query: { ...query, resourceVersion }, signal };
      for await (const { type, object } of watch<T>(session, call)) {
        if (type !== "BOOKMARK" && done(type === "DELETED" ? undefined : object)) return;
      }
    }
    throw new TimeoutError(late);
  } catch (error) {
    throw signal.aborted ? new TimeoutError(late) : error;
  } finally {
    clearTimeout(timer);
    ending.abort();
  }
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
};

/** `30s`, `1m30s`; a bare number is seconds. Undefined where it is no time. */
export function durationMs(text: string): number | undefined {
  if (/^-?\d+(\.\d+)?$/.test(text)) return Number(text) * 1_000;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== text) return undefined;
  return parts.reduce((sum, [, count, unit = ""]) => sum + Number(count) * (UNITS[unit] ?? 0), 0);
}
