/**
 * Constant load on one URL: a new connection for each request, and every failure with its moment.
 */

export interface Failure {
  atMs: number;
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
      const signal = AbortSignal.timeout(ANSWER_MS_MAX);
      const answer = await fetch(url, {
        keepalive: false,
        headers: { connection: "close" },
        signal,
      });
      const text = (await answer.text()).trim();
      if (answer.ok) answers.set(text, (answers.get(text) ?? 0) + 1);
      else failures.push({ atMs, why: `HTTP ${answer.status}` });
    } catch (error) {
      failures.push({
        atMs,
        why: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
      });
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
