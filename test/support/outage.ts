/**
 * The server without power, under load through a Service and an Ingress of the other nodes: no
 * request may be lost, and nothing restarted.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type LabCluster, startCluster } from "#test/support/cluster.ts";
import { addressOf, until } from "#test/support/lab.ts";
import { startLabLoad, type Target } from "#test/support/labload.ts";
import { webImage } from "#test/support/webimage.ts";

const AGENTS = ["n2", "n3"];
const ROOT = join(import.meta.dir, "../..");
let cluster: LabCluster;
let dir: string;

async function start(): Promise<void> {
  dir = mkdtempSync(join(tmpdir(), "bramble-outage-"));
  const image = await webImage(dir);
  cluster = await startCluster({ nodes: 3, dir, images: [image] });
  await cluster.startServer();
  for (const node of AGENTS) await cluster.startAgent(node);
  await cluster.readyNodes(3, 60_000);
  await cluster.kubectl("create", "-f", join(ROOT, "test/long/outage.yaml"));
  await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=120s");
  await until("Service and Ingress answer", 60_000, async () => {
    const asks = targets().map(([url, host]) =>
      cluster.lab.exec("lan", "curl", "-fsS", "--max-time", "10", "-H", `Host: ${host}`, url),
    );
    return (await Promise.all(asks)).every(({ stdout }) => stdout.startsWith("hello"));
  });
}

async function end(): Promise<void> {
  await cluster?.down();
  rmSync(dir, { recursive: true, force: true });
}

const targets = (): Target[] =>
  AGENTS.flatMap((node): Target[] => [
    [`http://${addressOf(node)}:30080/`, "web"],
    [`http://${addressOf(node)}/`, "web.test"],
  ]);

async function containers(): Promise<string[]> {
  const all = await Promise.all(
    AGENTS.map((node) => cluster.lab.must(node, "nerdctl", "-n", "bramble", "ps", "-q")),
  );
  return all.join("\n").split("\n").filter(Boolean).sort();
}

async function outage(seconds: number): Promise<void> {
  const before = await containers();
  const stop = startLabLoad(cluster.lab, targets(), join(dir, "load.log"));
  await Bun.sleep(2_000);
  const moments: string[] = [];
  const note = (what: string) => moments.push(`${new Date().toISOString()} ${what}`);
  note("cut");
  await cluster.lab.cut("n1");
  note("is cut");
  await Bun.sleep(seconds * 1_000);
  note("boot");
  await cluster.lab.boot("n1");
  await cluster.startServer();
  await cluster.readyNodes(3, 60_000);
  note("all nodes are Ready");
  await cluster.kubectl("rollout", "status", "deployment/web", "--timeout=120s");
  await Bun.sleep(5_000);
  const said = await stop();
  console.log(`${said.sent} requests, ${said.lost.length} lost`);
  if (said.lost.length > 0) console.log(moments.join("\n"));
  expect(said.lost).toEqual([]);
  expect(said.sent).toBeGreaterThan(seconds);
  expect(await containers()).toEqual(before);
}

/** Registers the test, with a cluster of its own, in the file that calls. */
export function testOutage(seconds: number): void {
  beforeAll(start, 180_000);
  afterAll(end);
  test(
    `no request is lost while the server has no power for ${seconds} s`,
    () => outage(seconds),
    (seconds + 180) * 1_000,
  );
}
