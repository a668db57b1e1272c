/** Whether the server is where it was: asked only while nothing else shows that it is there. */
import type { Clock } from "#base/clock.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";

export interface WatchedServer {
  url(): string;
  /** When it last answered anything, by the steady clock. */
  heardMs(): number;
  /** Asks it for its time. False where it does not answer. */
  answers(): Promise<boolean>;
  /** Where it answers now; undefined: nowhere. */
  search(): Promise<string | undefined>;
  /** It answers at another URL now. */
  moved(url: string): void;
  /** It does not answer at the last one: what waits for it waits in vain. */
  lost(): void;
  /** Passes time, this much or until there is a doubt whether the server is there. */
  pause(ms: number): Promise<void>;
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
    const heard = nowMs - server.heardMs() < limits.serverHeardMs;
    const enough = heard && nowMs - askedMs < limits.serverTimeMs;
    if (!enough) askedMs = nowMs;
    if (enough || (await server.answers())) {
      lost = false;
      await server.pause(limits.serverCheckMs);
      continue;
    }
    const from = server.url();
    const url = await server.search();
    if (signal.aborted) return;
    // A busy server answers the second question: its watches are not cut for that.
    if (url === from) continue;
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
