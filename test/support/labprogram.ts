/**
 * Programs on the lab's LAN that go on until SIGTERM and then print what they saw, as JSON: each is
 * a file of its own that calls `runLabProgram` where it is the main one.
 */
import { readFileSync } from "node:fs";
import type { Lab } from "#test/support/lab.ts";

/** Starts `file` with a plan; what it prints goes to the new file `path`, the answer ends it. */
export function startLabProgram<Plan, Seen>(
  lab: Lab,
  file: string,
  plan: Plan,
  path: string,
): () => Promise<Seen> {
  const child = lab.spawn("lan", path, process.execPath, file, JSON.stringify(plan));
  return async () => {
    child.kill("SIGTERM");
    await child.exited;
    return JSON.parse(readFileSync(path, "utf8")) as Seen;
  };
}

/** The other side of `startLabProgram`: plays the plan that it was started with. */
export async function runLabProgram<Plan>(
  play: (plan: Plan, isOver: () => boolean) => Promise<unknown>,
): Promise<void> {
  let over = false;
  process.on("SIGTERM", () => {
    over = true;
  });
  const plan = JSON.parse(process.argv[2] ?? "{}") as Plan;
  console.log(JSON.stringify(await play(plan, () => over)));
}
