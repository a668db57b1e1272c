/**
 * A node that knows one server only, which loses its power; one that it never heard of is started
 * on the same etcd, and is found by mDNS. `bun run test:servers`
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, until } from "#test/support/lab.ts";
import { type ServerLab, startServerLab } from "#test/support/serverlab.ts";

const LIMIT_MS = 60_000;
/** From its readiness: the node looks around every few seconds. */
const FOUND_MS_MAX = 15_000;
let site: ServerLab;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-newserver-"));
  site = await startServerLab({ nodes: 3, dir, images: [] });
  await site.startServer("n1");
  await site.startAgent("n3");
  await site.readyNodes("n1", 2, LIMIT_MS);
}, 180_000);

afterAll(async () => {
  await site?.down();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const configOfNode = (): Promise<string> =>
  site.lab.must("n3", "cat", "/var/lib/bramble/node/kubeconfig");

test("a server that a node never heard of is found by mDNS when its own is gone", async () => {
  expect(await configOfNode()).toContain(addressOf("n1"));
  await site.lab.cut("n1");
  await site.startServer("n2");
  const readyAt = performance.now();
  await until("n3 works with n2", LIMIT_MS, async () => {
    return (await configOfNode()).includes(`https://${addressOf("n2")}:6443`);
  });
  const tookMs = Math.round(performance.now() - readyAt);
  console.log(`a new server was found ${tookMs} ms after it was ready`);
  expect(tookMs).toBeLessThanOrEqual(FOUND_MS_MAX);
  await until("n3 is Ready at n2", LIMIT_MS, async () => {
    const path = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    return (await site.kubectl("n2", "get", "node", "n3", "-o", path)) === "True";
  });
}, 240_000);
