/** Thousands that ask at once do not keep timers and messages of other threads from their turn. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { limits } from "#base/limits.ts";
import { until } from "#test/component/controllers/plane.ts";
import { to } from "#test/support/ingress.ts";
import { type Server, serve } from "./backends.ts";
import { type Stage, startStage } from "./stage.ts";

const CLIENTS = 3_000;
const STALL_MS = 1_500;
const CLIENT = join(import.meta.dir, "crowdclient.ts");

let stage: Stage;
let server: Server;
/** Requests that came to the endpoint. */
let asked = 0;

beforeAll(async () => {
  stage = await startStage();
  server = await serve((_, response) => {
    asked++;
    response.end("ok");
  });
  await stage.service("web", [server]);
  await stage.ingress("web", { defaultBackend: to("web") });
  await stage.settled();
});

afterAll(async () => {
  await stage?.close();
  server?.close();
});

test("3,000 requests at once are answered in many turns", async () => {
  const argv = [process.execPath, CLIENT, String(stage.agent.ports.http), String(CLIENTS)];
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  try {
    let told = "";
    const reading = (async () => {
      for await (const chunk of child.stdout) told += new TextDecoder().decode(chunk);
    })();
    await until("all are connected", () => told.includes("ready"));
    child.stdin.write("go\n");
    child.stdin.end();
    // As on a machine that has no time for us: all of them wait when it goes on.
    Bun.sleepSync(STALL_MS);
    /** In one turn. */
    let most = 0;
    let before = asked;
    const ticking = setInterval(() => {
      most = Math.max(most, asked - before);
      before = asked;
    }, 1);
    await reading;
    clearInterval(ticking);
    expect(told).toBe(`ready\n${CLIENTS}\n`);
    expect(most).toBeGreaterThan(0);
    // The runtime by itself takes all that are ready, more than a thousand, before a timer's turn.
    expect(most).toBeLessThanOrEqual(2 * limits.ingressBegunMax);
  } finally {
    child.kill("SIGKILL");
    await child.exited;
  }
}, 120_000);
