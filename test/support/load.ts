/**
 * Constant load on one URL: a new connection for each request, and every failure with its moment.
 * Sockets of its own, as fetch() lets requests past the 256th wait: what waits there is not lost by
 * a server that is slow.
 */

import { messageOf } from "#base/errors.ts";
import { plainGet } from "#test/support/plainget.ts";

export interface Failure {
  atMs: number;
  /** Until it failed; left out where it was answered. */
  afterMs?: number;
  why: string;
}

export interface Load {
  /** Ends it; answers what was seen. */
  stop(): Promise<{ sent: number; failures: Failure[]; answers: Map<string, number> }>;
  readonly sent: number;
}

/** A request that is not answered within this counts as lost. */
const ANSWER_MS_MAX = 15_000;

export function startLoad(url: string, perSecond: number): Load {
  const began = performance.now();
  const failures: Failure[] = [];
  const answers = new Map<string, number>();
  const pending = new Set<Promise<void>>();
  let sent = 0;
  let stopped = false;

  const one = async (): Promise<void> => {
    const atMs = Math.round(performance.now() - began);
    try {
      const { status, body } = await plainGet(url, { answerMsMax: ANSWER_MS_MAX });
      const text = body.trim();
      if (status === 200) answers.set(text, (answers.get(text) ?? 0) + 1);
      else failures.push({ atMs, why: `HTTP ${status}` });
    } catch (error) {
      const afterMs = Math.round(performance.now() - began) - atMs;
      failures.push({ atMs, afterMs, why: messageOf(error) });
    }
  };
  const loop = (async () => {
    while (!stopped) {
      const due = Math.floor(((performance.now() - began) * perSecond) / 1000);
      for (; sent < due; sent++) {
        const request = one().finally(() => pending.delete(request));
        pending.add(request);
      }
      await Bun.sleep(1000 / perSecond);
    }
    await Promise.all(pending);
  })();
  return {
    get sent() {
      return sent;
    },
    async stop() {
      stopped = true;
      await loop;
      return { sent, failures, answers };
    },
  };
}
