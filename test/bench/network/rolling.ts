/** 10 pods are replaced while requests come, each over a connection of its own. */
import { readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { owned } from "#test/bench/ends.ts";
import type { Row } from "#test/bench/network/rows.ts";
import { WEB_INGRESS, webManifest } from "#test/e2e/web.ts";
import { type Instance, startInstance } from "#test/support/instance.ts";
import { type Failure, startLoad } from "#test/support/load.ts";

const PER_SECOND = 500;
const REQUESTS = 30_000;
/** Lines told; the rest is more of the same. */
const TOLD = 5;
/** Of the web server's manifest. */
const GRACE_SECONDS = 5;
/** Of load without an update. */
const STILL_MS = 5_000;

/** How often each reason was given. */
function countsOf(failures: readonly Failure[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { why } of failures) counts.set(why, (counts.get(why) ?? 0) + 1);
  return counts;
}

interface Way {
  way: string;
  url: string;
  requests: number;
}

async function graceIs(cluster: Instance, seconds: number): Promise<void> {
  const spec = { template: { spec: { terminationGracePeriodSeconds: seconds } } };
  await cluster.must("patch", "deployment", "web", "-p", JSON.stringify({ spec }));
  await cluster.must("rollout", "status", "deployment/web", "--timeout=90s");
}

async function lostAtRest(url: string): Promise<string> {
  const load = startLoad(url, PER_SECOND);
  await Bun.sleep(STILL_MS);
  const { sent, failures } = await load.stop();
  return `no update: ${failures.length} of ${sent}`;
}

/**
 * What is lost in an update whose pods are told to end at once, as upstream's are: a grace of one
 * second leaves no time to wait for the rules and the requests under way. Measured last: a client
 * that gave up leaves a flow to a pod that is gone, and who has its port next loses a request, too.
 */
async function lostAtOnce(cluster: Instance, url: string): Promise<string> {
  await graceIs(cluster, 1);
  const load = startLoad(url, PER_SECOND);
  await graceIs(cluster, GRACE_SECONDS);
  await Bun.sleep(1_000);
  const { sent, failures } = await load.stop();
  return `one update with SIGTERM at once: ${failures.length} of ${sent}`;
}

/** One update after the other until there were enough requests. */
async function updatedUnderLoad(cluster: Instance, way: Way): Promise<Row> {
  const { url, requests } = way;
  const atRest = await lostAtRest(url);
  const load = startLoad(url, PER_SECOND);
  let updates = 0;
  while (load.sent < requests - 10 * PER_SECOND) {
    const image = `web=bramble.local/web:${2 - (updates % 2)}`;
    await cluster.must("set", "image", "deployment/web", image);
    await cluster.must("rollout", "status", "deployment/web", "--timeout=90s");
    updates++;
  }
  while (load.sent < requests) await Bun.sleep(50);
  const { sent, failures, answers } = await load.stop();
  for (const [why, count] of countsOf(failures)) console.error(`${way.way}: ${count} x ${why}`);
  return {
    what: `requests lost in ${updates} rolling updates of 10 pods at ${PER_SECOND}/s, ${way.way}`,
    measured: `${failures.length} of ${sent.toLocaleString("en")}, ${answers.size} pods answered`,
    floor: `0 of ${requests.toLocaleString("en")}`,
    yardstick: `${atRest}; ${await lostAtOnce(cluster, url)}`,
    met: failures.length === 0 && sent >= requests,
  };
}

export async function rollingRows(requests = REQUESTS, more: string[] = []): Promise<Row[]> {
  const log = join(tmpdir(), `bramble-benchroll-${process.pid}.log`);
  const flags = ["--access-log", log, ...more];
  const wanted = { name: "benchroll", images: ["1", "2"], flags, detached: true };
  const [cluster, close] = await owned(
    () => startInstance(wanted),
    (each) => each.close(),
  );
  try {
    await cluster.apply(webManifest({ replicas: 10 }));
    await cluster.apply(WEB_INGRESS);
    await cluster.must("rollout", "status", "deployment/web", "--timeout=60s");
    const ip = await cluster.must("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
    const ingress = `http://127.0.0.1:${cluster.ingressPorts[0]}/`;
    const rows = [
      await updatedUnderLoad(cluster, { way: "Service", url: `http://${ip}/`, requests }),
      await updatedUnderLoad(cluster, { way: "Ingress", url: ingress, requests }),
    ];
    // The client saw a loss, or the Ingress knows why.
    const problems = readFileSync(log, "utf8")
      .split("\n")
      .filter((line) => line.includes('"problem"'));
    for (const line of problems.slice(0, TOLD)) console.error(line);
    return rows;
  } finally {
    await close();
    rmSync(log, { force: true });
  }
}
