/** Starts the thread of DNS and Ingress: `entry.ts`, with a heap of its own. */
import { Worker } from "node:worker_threads";
import { messageOf } from "#base/errors.ts";
import type { OpenThread } from "./thread.ts";

/** The compiled program has it at this path of its own root (`tools/build.ts`). */
const ENTRY = Bun.isStandaloneExecutable
  ? "./main/traffic/entry.ts"
  : new URL("./entry.ts", import.meta.url);

export const openThread: OpenThread = ({ message, ended }) => {
  const worker = new Worker(ENTRY);
  let reason = "it ended";
  worker.on("message", message);
  worker.on("error", (error) => {
    reason = messageOf(error);
  });
  worker.on("exit", () => ended(reason));
  return {
    post: (one) => worker.postMessage(one),
    terminate: () => void worker.terminate(),
  };
};
