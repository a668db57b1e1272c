/**
 * Three boards with a member of etcd, a server and a node each. One after the other loses its power
 * under writes, LONG_CUTS times (default 3): nothing that was acknowledged is lost, and writes,
 * logs and nodes go on at the others.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "#test/support/lab.ts";
import { type ServerLab, startServerLab } from "#test/support/serverlab.ts";
import { webImage } from "#test/support/webimage.ts";

const CUTS = Number(process.env["LONG_CUTS"] ?? 3);
const NODES = ["n1", "n2", "n3"];
const GAP_MS_MAX = 10_000;
let site: ServerLab;
let dir: string;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-three-"));
  const image = await webImage(dir);
  site = await startServerLab({ nodes: 3, dir, images: [image], members: NODES });
  for (const server of NODES) await site.startServer(server);
  await site.readyNodes("n1", 3, 60_000);
  await site.kubectl("n1", "create", "-f", join(import.meta.dir, "../cluster/servers.yaml"));
  await site.kubectl("n1", "rollout", "status", "daemonset/talker", "--timeout=60s");
}, 240_000);

afterAll(async () => {
  await site?.down();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const acknowledged = new Set<string>();

/** Writes through one server after the other until it is stopped; answers the longest gap. */
function keepWriting(round: number) {
  let over = false;
  let gapMs = 0;
  const ended = (async () => {
    let lastMs = performance.now();
    for (let i = 0; !over; i++) {
      const name = `w-${round}-${i}`;
      const server = NODES[i % NODES.length] ?? "n1";
      const done = await site.kubectl(server, "create", "configmap", name).then(
        () => true,
        () => false,
      );
      if (!done) continue;
      acknowledged.add(name);
      gapMs = Math.max(gapMs, performance.now() - lastMs);
      lastMs = performance.now();
    }
  })();
  return async (): Promise<number> => {
    over = true;
    await ended;
    return gapMs;
  };
}

async function talker(server: string, node: string): Promise<string | undefined> {
  const on = ["--field-selector", `spec.nodeName=${node}`, "-l", "app=talker", "-o", "name"];
  const pod = (await site.kubectl(server, "get", "pods", ...on)).trim();
  return site.kubectl(server, "logs", "--tail", "1", pod).catch(() => undefined);
}

async function hearEach(servers: readonly string[], nodes: readonly string[]): Promise<void> {
  for (const server of servers) {
    for (const node of nodes) {
      const words = await until(`${server} hears ${node}`, 30_000, () => talker(server, node));
      expect(words).toStartWith(`${node} says `);
    }
  }
}

test(
  "each board in turn loses its power: no write is lost, and the others go on",
  async () => {
    await hearEach(NODES, NODES);
    for (let round = 0; round < CUTS; round++) {
      const victim = NODES[round % NODES.length] ?? "n1";
      const others = NODES.filter((node) => node !== victim);
      const stop = keepWriting(round);
      await Bun.sleep(2_000);
      await site.lab.cut(victim);
      await Bun.sleep(GAP_MS_MAX + 5_000);
      const gapMs = await stop();
      console.log(`${victim} cut: writes stood still for ${Math.round(gapMs)} ms at most`);
      expect(gapMs).toBeLessThan(GAP_MS_MAX);
      await hearEach(others, others);
      await site.lab.boot(victim);
      await site.startMember(victim);
      await site.startServer(victim);
      await site.readyNodes(victim, 3, 60_000);
      for (const server of NODES) {
        const path = "jsonpath={.items[*].metadata.name}";
        const names = new Set((await site.kubectl(server, "get", "cm", "-o", path)).split(" "));
        const lost = [...acknowledged].filter((name) => !names.has(name));
        expect([server, lost]).toEqual([server, []]);
      }
      await hearEach(NODES, NODES);
    }
    console.log(`${acknowledged.size} acknowledged writes are there`);
  },
  CUTS * 180_000,
);
