/** Requests from a laptop on the lab's LAN, for as long as wanted, and what became of them. */
import { readFileSync } from "node:fs";
import type { Lab } from "#test/support/lab.ts";

const REQUEST_EVERY_MS = 25;

/** Where to, and the name of the host that is asked for. */
export type Target = readonly [url: string, host: string];

export interface Said {
  readonly sent: number;
  readonly lost: readonly string[];
}

/** Runs on the LAN until it is told to end; then says what became of its requests. */
const LOAD = `
  const targets = ${JSON.stringify("TARGETS")};
  let sent = 0, ended = false;
  const lost = [];
  process.on("SIGTERM", () => { ended = true; });
  for (let i = 0; !ended; i++) {
    const [url, host] = targets[i % targets.length];
    sent++;
    try {
      const options = { headers: { host }, keepalive: false, signal: AbortSignal.timeout(10_000) };
      const answer = await fetch(url, options);
      if (!(await answer.text()).startsWith("hello")) lost.push(url + " " + answer.status);
    } catch (error) { lost.push(url + " " + error.message); }
    await Bun.sleep(${REQUEST_EVERY_MS});
  }
  console.log(JSON.stringify({ sent, lost }));`;

/** What it says goes to the new file `path`; the answer ends it. */
export function startLabLoad(
  lab: Lab,
  targets: readonly Target[],
  path: string,
): () => Promise<Said> {
  const script = LOAD.replace('"TARGETS"', JSON.stringify(targets));
  const load = lab.spawn("lan", path, process.execPath, "-e", script);
  return async () => {
    load.kill("SIGTERM");
    await load.exited;
    return JSON.parse(readFileSync(path, "utf8")) as Said;
  };
}
