/**
 * Three boards with a member of etcd, a server and a node each, and a node beside them. One board
 * after the other loses its power under writes to each server and requests through a Service of the
 * nodes that stay, LONG_CUTS times (default 3). Nothing that was acknowledged and no request is
 * lost, writes and controllers go on in time, and so do logs and the node of another server.
 * `bun run test:servers`
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addressOf, until } from "#test/support/lab.ts";
import { startLabLoad } from "#test/support/labload.ts";
import { startLabWriter, type Written } from "#test/support/labwriter.ts";
import { type ServerLab, startServerLab } from "#test/support/serverlab.ts";
import { webImage } from "#test/support/webimage.ts";

const CUTS = Number(process.env["LONG_CUTS"] ?? 3);
const SERVERS = ["n1", "n2", "n3"];
const BESIDE = "n4";
const NODES = [...SERVERS, BESIDE];
/** Floors, from the cut on. */
const WRITES_MS_MAX = 10_000;
const CONTROLLERS_MS_MAX = 10_000;
const OTHER_SERVER_MS_MAX = 5_000;
const AWAY_MS = 15_000;
const LIMIT_MS = 60_000;
let site: ServerLab;
let dir: string;
const acknowledged: string[] = [];
/** What the node beside took to work with another server, where its own was cut. */
const followedMs: number[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-three-"));
  const image = await webImage(dir);
  site = await startServerLab({ nodes: NODES.length, dir, images: [image], members: SERVERS });
  for (const server of SERVERS) await site.startServer(server);
  await site.startAgent(BESIDE, "--server", urlOf("n1"));
  await site.readyNodes("n1", NODES.length, LIMIT_MS);
  for (const file of ["../cluster/servers.yaml", "servers.yaml"]) {
    await site.kubectl("n1", "create", "-f", join(import.meta.dir, file));
  }
  for (const name of ["daemonset/talker", "deployment/web"]) {
    await site.kubectl("n1", "rollout", "status", name, "--timeout=60s");
  }
}, 240_000);

afterAll(async () => {
  await site?.down();
  rmSync(dir, { recursive: true, force: true });
}, 60_000);

const urlOf = (node: string): string => `https://${addressOf(node)}:6443`;

async function talker(server: string, node: string): Promise<string | undefined> {
  const on = ["--field-selector", `spec.nodeName=${node}`, "-l", "app=talker", "-o", "name"];
  const pod = (await site.kubectl(server, "get", "pods", ...on)).trim();
  return site.kubectl(server, "logs", "--tail", "1", pod).catch(() => undefined);
}

async function hearEach(servers: readonly string[], nodes: readonly string[]): Promise<void> {
  for (const server of servers) {
    for (const node of nodes) {
      const words = await until(`${server} hears ${node}`, LIMIT_MS, () => talker(server, node));
      expect(words).toStartWith(`${node} says `);
    }
  }
}

/** The one that the node beside works with. */
async function serverOfBeside(): Promise<string | undefined> {
  const config = await site.lab.must(BESIDE, "cat", "/var/lib/bramble/node/kubeconfig");
  const url = /server: (\S+)/.exec(config)?.[1];
  return SERVERS.find((node) => urlOf(node) === url);
}

/** Until a pod of something new is made and has its node. */
async function madeBy(server: string, name: string): Promise<void> {
  const image = ["--image", "bramble.local/web:1"];
  await until("a Deployment is taken", LIMIT_MS, async () => {
    await site.kubectl(server, "create", "deployment", name, ...image);
    return true;
  });
  await until("its pod has a node", LIMIT_MS, async () => {
    const path = "jsonpath={.items[*].spec.nodeName}";
    return (await site.kubectl(server, "get", "pods", "-l", `app=${name}`, "-o", path)) !== "";
  });
}

async function cutOf(victim: string, round: number): Promise<Written> {
  const others = NODES.filter((node) => node !== victim);
  const asked = others.map((node) => [`http://${addressOf(node)}:30080/`, "web"] as const);
  const endRequests = startLabLoad(site.lab, asked, join(dir, `load-${round}.log`));
  const servers = Object.fromEntries(SERVERS.map((node) => [node, urlOf(node)]));
  const plan = { servers, token: site.adminToken(), prefix: `w-${round}` };
  const endWrites = startLabWriter(site.lab, plan, join(dir, `writes-${round}.log`));
  await Bun.sleep(2_000);
  const follows = (await serverOfBeside()) === victim;
  await site.lab.cut(victim);
  const cutAt = performance.now();
  const since = (): number => Math.round(performance.now() - cutAt);
  const moved = async (): Promise<void> => {
    if (!follows) return;
    const other = async () => (await serverOfBeside()) !== victim;
    await until(`${BESIDE} works with another server`, LIMIT_MS, other);
    followedMs.push(since());
  };
  const made = async (): Promise<number> => {
    await madeBy(others[0] ?? "", `after-${round}`);
    return since();
  };
  const [madeMs] = await Promise.all([made(), moved()]);
  await Bun.sleep(Math.max(0, AWAY_MS - since()));
  const [written, said] = await Promise.all([endWrites(), endRequests()]);
  const gapMs = Math.max(...others.map((node) => Math.round(written.gapMs[node] ?? 0)));
  const follow = follows ? `, ${BESIDE} at another server after ${followedMs.at(-1)} ms` : "";
  console.log(
    `${victim} cut: writes stood still for ${gapMs} ms at most, a new pod was made and placed ` +
      `after ${madeMs} ms${follow}, ${said.lost.length} of ${said.sent} requests lost`,
  );
  expect(gapMs).toBeLessThanOrEqual(WRITES_MS_MAX);
  expect(madeMs).toBeLessThanOrEqual(CONTROLLERS_MS_MAX);
  expect(said.lost).toEqual([]);
  expect(said.sent).toBeGreaterThan(AWAY_MS / 1_000);
  return written;
}

async function assertNothingLost(): Promise<void> {
  for (const server of SERVERS) {
    const path = "jsonpath={.items[*].metadata.name}";
    const names = new Set((await site.kubectl(server, "get", "cm", "-o", path)).split(" "));
    const lost = acknowledged.filter((name) => !names.has(name));
    expect([server, lost]).toEqual([server, []]);
  }
}

test(
  "each board in turn loses its power: nothing is lost, and the others go on in time",
  async () => {
    await hearEach(SERVERS, NODES);
    for (let round = 0; round < CUTS; round++) {
      const victim = SERVERS[round % SERVERS.length] ?? "n1";
      const others = NODES.filter((node) => node !== victim);
      acknowledged.push(...(await cutOf(victim, round)).acknowledged);
      const servers = SERVERS.filter((node) => node !== victim);
      await hearEach(servers, others);
      await site.lab.boot(victim);
      await site.startMember(victim);
      await site.startServer(victim);
      await site.readyNodes(victim, NODES.length, LIMIT_MS);
      await assertNothingLost();
      await hearEach(SERVERS, NODES);
    }
    console.log(`${acknowledged.length} acknowledged writes are there`);
    expect(acknowledged.length).toBeGreaterThan(CUTS * 100);
    expect(followedMs.length).toBeGreaterThan(0);
    expect(Math.max(...followedMs)).toBeLessThanOrEqual(OTHER_SERVER_MS_MAX);
  },
  CUTS * 180_000,
);
