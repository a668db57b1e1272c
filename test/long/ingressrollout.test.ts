/** An update of what is behind an Ingress of a real cluster, under load, loses no request. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WEB_INGRESS, webManifest } from "#test/e2e/web.ts";
import { type Instance, startInstance } from "#test/support/instance.ts";
import { startLoad } from "#test/support/load.ts";

const REQUESTS_PER_SECOND = 500;

const LOG = join(tmpdir(), `bramble-ingress-e2e-${process.pid}.log`);

let cluster: Instance;

beforeAll(async () => {
  const flags = ["--access-log", LOG];
  cluster = await startInstance({ name: "ingress", images: ["1"], flags });
  await cluster.apply(webManifest({ replicas: 10 }));
  await cluster.apply(WEB_INGRESS);
  await cluster.must("rollout", "status", "deployment/web", "--timeout=60s");
}, 120_000);

afterAll(async () => {
  await cluster?.close();
  rmSync(LOG, { force: true });
}, 60_000);

/** Keeps a core busy until it is killed, or for some minutes. */
const busy = () =>
  Bun.spawn(["perl", "-e", "alarm 170; 1 while 1"], { stdout: "ignore", stderr: "ignore" });

async function lostInUpdate(): Promise<void> {
  const load = startLoad(`http://127.0.0.1:${cluster.ingressPorts[0]}/`, REQUESTS_PER_SECOND);
  await Bun.sleep(500);
  await cluster.must("rollout", "restart", "deployment/web");
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  await Bun.sleep(2_000);
  const { sent, failures, answers } = await load.stop();
  console.log(`${sent} requests, ${failures.length} lost, ${answers.size} pods answered`);
  const log = failures.length > 0 ? readFileSync(LOG, "utf8").split("\n") : [];
  // The client saw it, or the Ingress knows why.
  for (const line of log.filter((each) => each.includes('"problem"'))) console.log(line);
  expect(failures).toEqual([]);
  expect(sent).toBeGreaterThan(REQUESTS_PER_SECOND * 3);
  expect(answers.size).toBeGreaterThanOrEqual(20);
}

test("10 pods are replaced under load, and no request is lost", lostInUpdate, 180_000);

test("nor where other programs take both cores", async () => {
  const others = [busy(), busy(), busy(), busy()];
  try {
    await lostInUpdate();
  } finally {
    for (const each of others) each.kill("SIGKILL");
  }
}, 180_000);
