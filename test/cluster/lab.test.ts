/** What the lab's faults must leave as it was: a test would blame the product for it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, type Lab, startLab, until } from "#test/support/lab.ts";

const PORT = 8000;
/** Between nodes on one switch; an answer to a laptop whose address changed came after 12 s. */
const ANSWER_MS_MAX = 8_000;
/** Answers what is asked at `/` when it is asked for `/now`. */
const SERVER = `
let waiting = [];
Bun.serve({ port: ${PORT}, idleTimeout: 0, fetch(request) {
  if (new URL(request.url).pathname === "/now") {
    for (const answer of waiting) answer(new Response("late"));
    return new Response();
  }
  console.log("asked");
  return new Promise((resolve) => waiting.push(resolve));
} });
`;
let lab: Lab;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-lab-"));
  lab = await startLab(2);
});

afterAll(async () => {
  await lab?.down();
  rmSync(dir, { recursive: true, force: true });
});

test("an answer that is under way between others arrives when a node loses its power", async () => {
  // The lowest of all ports' addresses: a bridge without one of its own takes it, and loses it.
  await lab.must("lan", "ip", "link", "set", "n1", "address", "02:00:00:00:00:01");
  const log = join(dir, "server.log");
  const server = lab.spawn("n2", log, process.execPath, "-e", SERVER);
  const url = `http://${addressOf("n2")}:${PORT}`;
  await until("the server answers", 20_000, async () => {
    return (await lab.exec("n2", "curl", "-fsS", `${url}/now`)).exitCode === 0;
  });
  const answer = lab.exec("lan", "curl", "-fsS", "--max-time", "60", `${url}/`);
  await until("it is asked", 20_000, async () => readFileSync(log, "utf8").includes("asked"));
  await lab.cut("n1");
  const told = performance.now();
  await lab.must("n2", "curl", "-fsS", `${url}/now`);
  expect((await answer).stdout).toBe("late");
  expect(performance.now() - told).toBeLessThan(ANSWER_MS_MAX);
  server.kill();
  await server.exited;
});
