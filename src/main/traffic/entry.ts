/** The program of the thread that answers for a node's DNS and Ingress. */
import { parentPort } from "node:worker_threads";
import { must } from "#base/assert.ts";
import { serveThread } from "./served.ts";

const port = must(parentPort, "the process that started this thread");
const take = serveThread({
  post: (message) => port.postMessage(message),
  onRejection: (told) => process.on("unhandledRejection", told),
});
port.on("message", take);
