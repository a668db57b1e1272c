/**
 * Constant load on one URL: a new connection for each request, and every failure with its moment.
 * Sockets of its own, as fetch() lets requests past the 256th wait: what waits there is not lost by
 * a server that is slow.
 */

import { connect } from "node:net";
import { messageOf } from "#base/errors.ts";
import { statusOf } from "#base/httpanswer.ts";

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

/** @throws Error for bytes that are no whole answer */
function answerOf(text: string): { status: number; body: string } {
  const end = text.indexOf("\r\n\r\n");
  const status = statusOf(text);
  if (end < 0 || status === undefined) throw new Error(`${text.length} bytes of an answer`);
  const body = text.slice(end + 4);
  const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1];
  if (length !== undefined && Number(length) !== body.length)
    throw new Error(`${body.length} of ${length} bytes`);
  return { status, body };
}

/** A body of ASCII. */
function ask({ hostname, port, pathname }: URL): Promise<{ status: number; body: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
  let text = "";
  let step = "connecting";
  const socket = connect({ host: hostname, port: Number(port) || 80 });
  const late = setTimeout(() => fail("time-out"), ANSWER_MS_MAX);
  const fail = (why: string) => {
    socket.destroy();
    reject(new Error(`${why} while ${step}`));
  };
  socket.on("connect", () => {
    step = "waiting for the answer";
    socket.write(`GET ${pathname} HTTP/1.1\r\nHost: ${hostname}\r\nConnection: close\r\n\r\n`);
  });
  socket.on("data", (chunk: Buffer) => {
    step = "reading the answer";
    text += chunk.toString("latin1");
  });
  socket.on("error", (error: NodeJS.ErrnoException) => fail(error.code ?? error.message));
  socket.on("close", () => {
    try {
      resolve(answerOf(text));
    } catch (error) {
      fail(messageOf(error));
    }
  });
  return promise.finally(() => clearTimeout(late));
}

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
      const { status, body } = await ask(new URL(url));
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
