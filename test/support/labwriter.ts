/**
 * Writers on the lab's LAN: each server has some of its own that write to nobody else, so that what
 * one of them serves is told apart from what another one does. `bun labwriter.ts PLAN`, with a
 * `Plan` as JSON, writes until SIGTERM and then prints what it saw, `Written`.
 */
import type { Lab } from "#test/support/lab.ts";
import { runLabProgram, startLabProgram } from "#test/support/labprogram.ts";

export interface Plan {
  /** URLs by the names of their nodes. */
  readonly servers: Readonly<Record<string, string>>;
  readonly token: string;
  /** Of the names of all ConfigMaps that are created. */
  readonly prefix: string;
}

export interface Written {
  /** Names. */
  readonly acknowledged: readonly string[];
  /** By server: the longest time without an acknowledgement, its beginning and end included. */
  readonly gapMs: Readonly<Record<string, number>>;
}

const WRITERS = 2;
const EVERY_MS = 20;
/** One that hangs for longer is given up and tried anew, as a client would. */
const ANSWER_MS_MAX = 2_000;
const PATH = "/api/v1/namespaces/default/configmaps";

async function isCreated(url: string, token: string, name: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}${PATH}`, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify({ metadata: { name } }),
      tls: { rejectUnauthorized: false },
      signal: AbortSignal.timeout(ANSWER_MS_MAX),
    });
    await answer.text();
    return answer.status === 201;
  } catch {
    return false;
  }
}

async function write({ servers, token, prefix }: Plan, isOver: () => boolean): Promise<Written> {
  const acknowledged: string[] = [];
  const gapMs: Record<string, number> = {};
  const server = async ([node, url]: [string, string]): Promise<void> => {
    let lastMs = performance.now();
    const looked = (): void => {
      const nowMs = performance.now();
      gapMs[node] = Math.max(gapMs[node] ?? 0, nowMs - lastMs);
      lastMs = nowMs;
    };
    const writer = async (number: number): Promise<void> => {
      for (let i = 0; !isOver(); i++) {
        const name = `${prefix}-${node}-${number}-${i}`;
        if (await isCreated(url, token, name)) {
          acknowledged.push(name);
          looked();
        }
        await Bun.sleep(EVERY_MS);
      }
    };
    await Promise.all(Array.from({ length: WRITERS }, (_, number) => writer(number)));
    looked();
  };
  await Promise.all(Object.entries(servers).map(server));
  return { acknowledged, gapMs };
}

export const startLabWriter = (lab: Lab, plan: Plan, path: string): (() => Promise<Written>) =>
  startLabProgram(lab, import.meta.path, plan, path);

if (import.meta.main) await runLabProgram(write);
