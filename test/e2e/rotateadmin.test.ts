/** The admin's token is replaced while servers run, as real processes with real kubectl. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";
import { eventually, mustRun } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { type TestServer, type TestServers, testServers } from "#test/support/servers.ts";

let dir: string;
let etcd: EtcdCluster;
let alone: TestServers;
let shared: TestServers;
let single: TestServer;
let pair: TestServer[];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), "bramble-rotateadmin-"));
  etcd = await startEtcd();
  alone = testServers();
  shared = testServers(etcd.urls);
  single = await alone.add("s0", "192.0.2.1");
  pair = [await shared.add("s1", "192.0.2.2"), await shared.add("s2", "192.0.2.3")];
  await single.start();
  const [first, second] = pair;
  await first?.start();
  const token = readFileSync(join(first?.dataDir ?? "", "server-token"), "utf8").trim();
  await second?.start("--server-token", token);
}, 120_000);

afterAll(async () => {
  await alone.stop();
  await shared.stop();
  await etcd.stop();
  rmSync(dir, { recursive: true, force: true });
});

const kubeconfigOf = ({ dataDir }: TestServer): string => join(dataDir, "kubeconfig");
const tokenOf = ({ dataDir }: TestServer) => readFileSync(join(dataDir, "admin-token"), "utf8");

/** A copy as an operator has it. */
function copyOf(server: TestServer): string {
  const path = join(dir, `${server.name}.kubeconfig`);
  writeFileSync(path, readFileSync(kubeconfigOf(server)));
  return path;
}

const nameOf = (kubeconfig: string): Promise<string> =>
  mustRun(["kubectl", "--kubeconfig", kubeconfig, "auth", "whoami", "-o", "name"]).catch(String);

/** A watch that goes on until somebody ends it. */
function watching(kubeconfig: string) {
  const argv = ["kubectl", "--kubeconfig", kubeconfig, "get", "namespaces", "--watch"];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
  return { child, begun: child.stdout.getReader().read() };
}

async function rotate(server: TestServer, env: Record<string, string>, ...flags: string[]) {
  const argv = [BRAMBLE, "token", "rotate-admin", "--data-dir", server.dataDir, ...flags];
  const child = Bun.spawn(argv, { env: { ...process.env, ...env }, stderr: "pipe" });
  const texts = [new Response(child.stdout).text(), new Response(child.stderr).text()];
  return { code: await child.exited, text: (await Promise.all(texts)).join("") };
}

async function expectReplaced(servers: TestServer[], ...flags: string[]): Promise<void> {
  const [server] = servers;
  if (server === undefined) throw new Error("no server");
  const before = tokenOf(server);
  const olds = servers.map(copyOf);
  const mine = join(dir, "mine");
  writeFileSync(mine, readFileSync(kubeconfigOf(server)));
  const watches = olds.map(watching);
  for (const { begun } of watches) await begun;
  const { code, text } = await rotate(server, { KUBECONFIG: mine }, ...flags);
  expect([code, text]).toEqual([0, expect.stringContaining("accepts the new token only")]);
  for (const { child } of watches) {
    await child.exited;
  }
  for (const [at, each] of servers.entries()) {
    expect(await nameOf(olds[at] ?? "")).toContain("Unauthorized");
    await eventually("the server rewrote its kubeconfig", 10_000, async () =>
      readFileSync(kubeconfigOf(each), "utf8").includes(tokenOf(server).trim()),
    );
    expect(await nameOf(kubeconfigOf(each))).toContain("selfsubjectreview");
    expect(tokenOf(each)).toBe(tokenOf(server));
  }
  expect(await nameOf(mine)).toContain("selfsubjectreview");
  expect(tokenOf(server)).not.toBe(before);
  expect(text).not.toContain(tokenOf(server).trim());
}

test("of a server on its own, with its watches", async () => {
  await expectReplaced([single]);
  await single.kill("SIGTERM");
  await single.start();
  expect(await nameOf(kubeconfigOf(single))).toContain("selfsubjectreview");
}, 60_000);

test("of all servers on an etcd, also of one that was away", async () => {
  const flags = ["--datastore", `etcd=${etcd.urls.join(",")}`];
  await expectReplaced(pair, ...flags);
  const [first, second] = pair;
  if (first === undefined || second === undefined) throw new Error("no servers");
  await second.kill("SIGTERM");
  const away = copyOf(second);
  const { code, text } = await rotate(first, { KUBECONFIG: "" }, ...flags);
  expect([code, text]).toEqual([0, expect.stringContaining("accepts the new token only")]);
  await second.start();
  expect(await nameOf(away)).toContain("Unauthorized");
  expect(await nameOf(kubeconfigOf(second))).toContain("selfsubjectreview");
}, 90_000);

test("a directory without a server is told so", async () => {
  const none = { ...single, dataDir: join(dir, "none") };
  const { code, text } = await rotate(none, {});
  expect(code).toBe(1);
  expect(text).toContain("no server's admin-token");
});
