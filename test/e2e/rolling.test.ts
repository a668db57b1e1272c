/** A rolling update loses no request, though every one opens a new connection. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { webManifest } from "#test/e2e/web.ts";
import { type Instance, startInstance } from "#test/support/instance.ts";
import { startLoad } from "#test/support/load.ts";

/** What pods answer on a busy machine, too: each request is a new process, their queue holds nine. */
const REQUESTS_PER_SECOND = 60;

let cluster: Instance;

beforeAll(async () => {
  cluster = await startInstance({ name: "rolling", images: ["1", "2"] });
  await cluster.apply(webManifest({ nodePort: cluster.nodePort }));
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
}, 270_000);

afterAll(async () => {
  await cluster?.close();
}, 180_000);

async function updatedUnderLoad(url: string, tag: string) {
  const load = startLoad(url, REQUESTS_PER_SECOND);
  await Bun.sleep(500);
  await cluster.must("set", "image", "deployment/web", `web=bramble.local/web:${tag}`);
  await cluster.must("rollout", "status", "deployment/web", "--timeout=120s");
  await Bun.sleep(2_000);
  return load.stop();
}

test("3 replicas are replaced one after the other, by cluster address", async () => {
  const ip = await cluster.must("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}");
  const { sent, failures, answers } = await updatedUnderLoad(`http://${ip}/`, "2");
  expect(failures).toEqual([]);
  expect(sent).toBeGreaterThan(REQUESTS_PER_SECOND);
  // Old and new pods took part.
  expect(answers.size).toBeGreaterThanOrEqual(6);
}, 360_000);

test("and back again, by node port", async () => {
  const path = "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}";
  const node = await cluster.must("get", "nodes", "-o", path);
  const { failures, answers } = await updatedUnderLoad(`http://${node}:${cluster.nodePort}/`, "1");
  expect(failures).toEqual([]);
  expect(answers.size).toBeGreaterThanOrEqual(6);
}, 360_000);
