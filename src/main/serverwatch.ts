/** Whether the server is where it was: asked only while nothing else shows that it is there. */
import { type Clock, sleep } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface WatchedServer {
  url(): string;
  /** When it last answered anything, by the steady clock. */
  heardMs(): number;
  /** Asks it for its time. False where it does not answer. */
  answers(): Promise<boolean>;
  /** Where it answers now; undefined: nowhere, or the signal aborted. */
  search(enough: AbortSignal): Promise<string | undefined>;
  /** It answers at another URL now. */
  moved(url: string): void;
  /** It does not answer at the last one: what waits for it waits in vain. */
  lost(): void;
  /** Passes time, this much or until there is a doubt whether the server is there. */
  pause(ms: number): Promise<void>;
}

/**
 * Its URL where it answers, else where it is found; undefined: nowhere. A server that moved leaves
 * no word, so it is looked for while the question still waits for its answer.
 */
async function whereabouts(server: WatchedServer, clock: Clock): Promise<string | undefined> {
  const from = server.url();
  const over = new AbortController();
  const answered = server.answers();
  try {
    // Most answer by then: the LAN is not asked for nothing.
    const there = await Promise.race([answered, sleep(clock, limits.serverSlowMs, over.signal)]);
    if (there === true) return from;
    const found = server.search(over.signal);
    if (there === false) return await found;
    const stays = found.then((url) => {
      if (url === undefined || url === from) return url === from || answered;
      // Other servers are always found; a slow one has this long to keep its nodes.
      return sleep(clock, limits.serverSpareMsMax, over.signal).then(() => false);
    });
    if (await Promise.race([answered, stays])) return from;
    // A busy server answers the second question: its watches are not cut for that.
    return (await found) ?? (await server.search(over.signal));
  } finally {
    over.abort();
  }
}

/** Runs until the signal aborts. */
export async function watchServer(
  server: WatchedServer,
  { clock, log, signal }: { clock: Clock; log: Log; signal: AbortSignal },
): Promise<void> {
  let lost = false;
  let askedMs = Number.NEGATIVE_INFINITY;
  while (!signal.aborted) {
    const nowMs = clock.monotonic();
    // The node's heartbeats tell as much; the time alone is asked for now and then.
    const heardForMs = server.heardMs() + limits.serverHeardMs - nowMs;
    const enough = heardForMs > 0 && nowMs - askedMs < limits.serverTimeMs;
    if (!enough) askedMs = nowMs;
    const from = server.url();
    const url = enough ? from : await whereabouts(server, clock);
    if (signal.aborted) return;
    if (url === from) {
      lost = false;
      const doubtMs = enough ? Math.ceil(heardForMs) : limits.serverCheckMs;
      await server.pause(Math.min(doubtMs, limits.serverCheckMs));
      continue;
    }
    if (!lost) log.warn("the server does not answer", { server: from });
    lost = url === undefined;
    server.lost();
    if (url === undefined) {
      await server.pause(limits.serverCheckMs);
    } else {
      log.info("the server moved", { from, to: url });
      server.moved(url);
    }
  }
}
