/** kill -9 of the server at any moment: nothing acknowledged is lost, and no container notices. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connect } from "#cli/connect.ts";
import type { Client } from "#client/client.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import { pods } from "#resources/kinds/pod.ts";
import { webManifest } from "#test/e2e/web.ts";
import { eventually, type Instance, startInstance } from "#test/support/instance.ts";
import { startLoad } from "#test/support/load.ts";

const ROUNDS = 6;
const WRITERS = 8;
const LIFE_MS_MAX = 1_500;

let cluster: Instance;
let client: Client;

beforeAll(async () => {
  cluster = await startInstance({ name: "crash", images: ["1"] });
  client = connect({ kubeconfig: cluster.kubeconfig, env: {} }).client;
  await cluster.apply(webManifest({ nodePort: cluster.nodePort }));
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

/** Containers and restarts of all pods, by pod. */
async function running(): Promise<Record<string, string>> {
  const { items } = await client.list(pods, { namespace: "default" });
  return Object.fromEntries(
    items.map(({ metadata, status }) => {
      const [main] = status?.containerStatuses ?? [];
      return [metadata.name, `${main?.containerID} restarts=${main?.restartCount}`];
    }),
  );
}

interface Promised {
  /** The newest acknowledged value of each object. */
  values: Map<string, number>;
  /** The newest revision that anyone was told. */
  revision: number;
}

/** Writes one object again and again until the server is gone. */
async function write(name: string, promised: Promised, signal: AbortSignal): Promise<void> {
  const before = promised.values.get(name);
  for (let value = (before ?? 0) + 1; !signal.aborted; value++) {
    const data = { value: String(value) };
    const metadata = { namespace: "default", name };
    try {
      const stored =
        value === 1
          ? await client.create(configMaps, { metadata, data })
          : await client.patch(configMaps, metadata, "merge", { data });
      promised.values.set(name, value);
      promised.revision = Math.max(promised.revision, Number(stored.metadata.resourceVersion));
    } catch (error) {
      // Only being killed is an excuse.
      if (!signal.aborted) throw error;
    }
  }
}

async function check(promised: Promised): Promise<string[]> {
  const list = await client.list(configMaps, { namespace: "default" });
  const found = new Map(list.items.map(({ metadata, data }) => [metadata.name, data?.["value"]]));
  const lost: string[] = [];
  if (Number(list.resourceVersion) < promised.revision) {
    lost.push(`revision ${promised.revision} went back to ${list.resourceVersion}`);
  }
  for (const [name, value] of promised.values) {
    // A write that was under way may have been kept as well.
    const now = Number(found.get(name) ?? 0);
    if (now !== value && now !== value + 1) lost.push(`${name}: ${value} became ${now}`);
  }
  return lost;
}

test("every acknowledged write is there, revisions go on, containers are adopted", async () => {
  const promised: Promised = { values: new Map(), revision: 0 };
  const before = await running();
  expect(Object.keys(before)).toHaveLength(3);
  const moments: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const ending = new AbortController();
    const writers = Array.from({ length: WRITERS }, (_, at) =>
      write(`round-${round}-${at}`, promised, ending.signal),
    );
    const lifeMs = Math.round(Math.random() * LIFE_MS_MAX);
    moments.push(lifeMs);
    await Bun.sleep(lifeMs);
    ending.abort();
    await cluster.stop("SIGKILL");
    await Promise.all(writers);
    await cluster.start();
    expect({ moments, lost: await check(promised) }).toEqual({ moments, lost: [] });
    const values = await client.create(configMaps, {
      metadata: { namespace: "default", name: `after-${round}` },
    });
    expect(Number(values.metadata.resourceVersion)).toBeGreaterThan(promised.revision);
  }
  // A server that is killed at once has promised nothing to some of the writers.
  expect(promised.values.size).toBeGreaterThan(0);
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  expect(await running()).toEqual(before);
}, 360_000);

test("pods answer while the server is gone, and while it starts again", async () => {
  const path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}";
  const node = await cluster.must("get", "nodes", "-o", path);
  const load = startLoad(`http://${node}:${cluster.nodePort}/`, 50);
  await cluster.stop("SIGKILL");
  await Bun.sleep(500);
  await cluster.start();
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  const { failures, sent } = await load.stop();
  expect(failures).toEqual([]);
  expect(sent).toBeGreaterThan(20);
}, 180_000);

test("a server killed while it starts keeps no other from starting", async () => {
  const before = await running();
  await cluster.stop("SIGKILL");
  for (const lifeMs of [30, 90, 180, 300, 450]) {
    const starting = cluster.start().catch(() => {});
    await Bun.sleep(lifeMs);
    await cluster.stop("SIGKILL");
    await starting;
  }
  await cluster.start();
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  expect(await running()).toEqual(before);
}, 180_000);

test("a container that ends while the server is gone is started again", async () => {
  const [name = ""] = Object.keys(await running());
  const pod = await client.get(pods, { namespace: "default", name });
  const id = pod?.status?.containerStatuses?.[0]?.containerID?.replace("containerd://", "") ?? "";
  await cluster.stop("SIGKILL");
  const { address } = cluster.containerd;
  const argv = ["ctr", "--address", address, "-n", "e2e", "task", "kill", "-s", "SIGKILL", id];
  expect(Bun.spawnSync(argv).exitCode).toBe(0);
  await cluster.start();
  await eventually("it runs again", 60_000, async () => {
    const now = await client.get(pods, { namespace: "default", name });
    const [status] = now?.status?.containerStatuses ?? [];
    return status?.ready === true && status.restartCount === 1;
  });
}, 180_000);
