/**
 * A cluster moves from SQLite to etcd and back, with encrypted Secrets, killed half way in both
 * directions; an informer that was there before goes on.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CoreV1Api, KubeConfig, makeInformer, type V1ConfigMap } from "@kubernetes/client-node";
import { parse } from "yaml";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";
import { eventually, run } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { type TestServer, type TestServers, testServers } from "#test/support/servers.ts";
import { stallingWay } from "#test/support/stall.ts";

const MAPS = 3_000;
const SECRETS = 200;
const AT_ONCE = 64;
const SECRET = "the words that no file may hold";
const ENCRYPTED = ["--datastore", "sqlite", "--encrypt-secrets"];
/** Half of what a migration sends or asks for. */
const HALF_BYTES = 1_000_000;
const CHECK = "NODE_TLS_REJECT_UNAUTHORIZED";
const checkBefore = process.env[CHECK];

let etcd: EtcdCluster;
let servers: TestServers;
let server: TestServer;

interface Access {
  url: string;
  token: string;
}

interface Listed {
  metadata: { resourceVersion: string; continue?: string };
  items: Array<{ metadata: { name: string; uid: string; resourceVersion: string } }>;
}

function access(): Access {
  const config = parse(readFileSync(join(server.dataDir, "kubeconfig"), "utf8")) as {
    clusters: Array<{ cluster: { server: string } }>;
    users: Array<{ user: { token: string } }>;
  };
  const url = config.clusters[0]?.cluster.server ?? "";
  return { url, token: config.users[0]?.user.token ?? "" };
}

function ask(path: string, body?: object, method = body ? "POST" : "GET"): Promise<Response> {
  const { url, token } = access();
  return fetch(`${url}${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    tls: { rejectUnauthorized: false },
  });
}

const PATH = "/api/v1/namespaces/default";

async function fill(): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < MAPS + SECRETS) {
      const at = next++;
      const [kind, words] = at < MAPS ? ["configmaps", "x".repeat(500)] : ["secrets", SECRET];
      const text = at < MAPS ? words : Buffer.from(words ?? "").toString("base64");
      const body = { metadata: { name: `o${at}` }, data: { text } };
      expect((await ask(`${PATH}/${kind}`, body)).status).toBe(201);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** All objects but for those that servers change by themselves. */
async function contents(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const kind of ["configmaps", "secrets", "services", "serviceaccounts"]) {
    const { items } = (await (await ask(`/api/v1/${kind}`)).json()) as Listed;
    for (const { metadata, ...rest } of items) {
      const { resourceVersion: _, ...words } = metadata;
      found.set(`${kind} ${metadata.uid}`, JSON.stringify({ words, rest }));
    }
  }
  return found;
}

const newest = async (): Promise<number> => {
  const list = (await (await ask(`${PATH}/configmaps?limit=1`)).json()) as Listed;
  return Number(list.metadata.resourceVersion);
};

const etcdFlag = (url = etcd.urls[0] ?? "") => `etcd=${url}`;
const migrate = (...more: string[]) =>
  run([BRAMBLE, "migrate", "--data-dir", server.dataDir, ...more]);

/** Kills the migration when half of it went over the wire. */
async function killedHalfWay(flags: (url: string) => string[]): Promise<void> {
  const way = await stallingWay(etcd.urls[0] ?? "", HALF_BYTES);
  try {
    const argv = [BRAMBLE, "migrate", "--data-dir", server.dataDir, ...flags(way.url)];
    const child = Bun.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
    const ended = child.exited.then(() => new Response(child.stderr).text());
    const early = await Promise.race([way.stalled, ended]);
    if (early !== undefined) throw new Error(`it ended by itself: ${early}`);
    child.kill("SIGKILL");
    await child.exited;
  } finally {
    way.close();
  }
}

/** An informer as programs use it: started again when it ends with an error. */
async function inform() {
  const config = new KubeConfig();
  config.loadFromFile(join(server.dataDir, "kubeconfig"));
  const core = config.makeApiClient(CoreV1Api);
  const informer = makeInformer<V1ConfigMap>(config, `${PATH}/configmaps`, () =>
    core.listNamespacedConfigMap({ namespace: "default" }),
  );
  let over = false;
  informer.on("error", () => {
    if (!over) setTimeout(() => informer.start().catch(() => undefined), 100);
  });
  await informer.start();
  const names = () => new Set(informer.list().map(({ metadata }) => metadata?.name));
  const stop = () => {
    over = true;
    return informer.stop();
  };
  return { names, stop };
}

async function seesNew(names: () => Set<string | undefined>, name: string): Promise<void> {
  const body = { metadata: { name } };
  expect((await ask(`${PATH}/configmaps`, body)).status).toBe(201);
  await eventually(`the informer sees ${name}`, 60_000, async () => {
    return names().has(name) && names().size > MAPS;
  });
}

/** What a client holds from before is refused in the way that makes it list again. */
async function assertOld(page: Listed, name: string): Promise<void> {
  const { continue: token = "", resourceVersion } = page.metadata;
  const more = await ask(`${PATH}/configmaps?limit=10&continue=${encodeURIComponent(token)}`);
  expect(more.status).toBe(410);
  const watch = await ask(`${PATH}/configmaps?watch=1&resourceVersion=${resourceVersion}`);
  const told = watch.status === 200 ? await watch.text() : `${watch.status}`;
  expect(told).toContain("410");
  const item = page.items[0]?.metadata;
  const metadata = { name, resourceVersion: item?.resourceVersion };
  const update = await ask(`${PATH}/configmaps/${name}`, { metadata }, "PUT");
  expect(update.status).toBe(409);
}

const firstPage = async (): Promise<Listed> =>
  (await (await ask(`${PATH}/configmaps?limit=10`)).json()) as Listed;

/** In one line, with status 1. */
function expectRefused(result: { exitCode: number; stderr: string }, words: string): void {
  expect(result.stderr).toContain(words);
  expect(result.stderr.trim().split("\n").length).toBeLessThanOrEqual(2);
  expect(result.exitCode).toBe(1);
}

let informer: Awaited<ReturnType<typeof inform>>;

beforeAll(async () => {
  process.env[CHECK] = "0";
  etcd = await startEtcd();
  servers = testServers(etcd.urls);
  server = await servers.add("m1", "192.0.2.1");
  await server.start(...ENCRYPTED);
  await fill();
  informer = await inform();
}, 270_000);

afterAll(async () => {
  await informer?.stop();
  await servers?.stop();
  await etcd?.stop();
  if (checkBefore === undefined) delete process.env[CHECK];
  else process.env[CHECK] = checkBefore;
});

test("to etcd: refused while the server runs, killed half way, then whole", async () => {
  expectRefused(await migrate("--to", etcdFlag()), "uses the data directory");
  const before = await contents();
  const page = await firstPage();
  const seen = await newest();
  await server.kill("SIGTERM");
  await killedHalfWay((url) => ["--to", etcdFlag(url)]);
  const early = await server.start().catch((error: Error) => error.message);
  expect(early).toContain("did not finish");
  // The file is as good as ever.
  await server.start(...ENCRYPTED);
  expect(await contents()).toEqual(before);
  await server.kill("SIGTERM");

  const started = performance.now();
  const done = await migrate("--to", etcdFlag());
  const ms = Math.round(performance.now() - started);
  console.log(`to etcd: ${ms} ms: ${done.stdout.trim().replaceAll("\n", "; ")}`);
  expect(done).toMatchObject({ exitCode: 0 });
  const late = await server.start(...ENCRYPTED).catch((error: Error) => error.message);
  expect(late).toContain("moved to etcd=");
  await server.start();
  expect(await contents()).toEqual(before);
  expect(await newest()).toBeGreaterThan(seen);
  await assertOld(page, page.items[0]?.metadata.name ?? "");
  await seesNew(informer.names, "after-the-move");
  expectRefused(await migrate("--to", etcdFlag()), "uses the data directory");
}, 270_000);

test("a second server shares what came, and no cluster is overwritten", async () => {
  const second = await servers.add("m2", "192.0.2.2");
  const token = readFileSync(join(server.dataDir, "server-token"), "utf8").trim();
  await second.start("--server-token", token);
  for (const file of ["pki/ca.key", "pki/service-account.key", "encryption-keys"]) {
    const of = (dataDir: string) => readFileSync(join(dataDir, file), "utf8");
    expect([file, of(second.dataDir)]).toEqual([file, of(server.dataDir)]);
  }
  const names = await second.kubectl("get", "configmaps", "-o", "name");
  expect(names.split("\n").length).toBeGreaterThan(MAPS);
  await server.kill("SIGTERM");
  const back = ["--to", "sqlite", "--datastore", etcdFlag()];
  expectRefused(await migrate(...back), "server m2 runs on this etcd");
  await second.kill("SIGTERM");
  expectRefused(await migrate("--to", etcdFlag()), "moved to etcd=");
  expectRefused(await migrate("--to", etcdFlag(), "--force"), "has a cluster already");
}, 180_000);

test("to SQLite: killed half way the servers go on, then whole", async () => {
  await server.start();
  const before = await contents();
  const page = await firstPage();
  const seen = await newest();
  await server.kill("SIGTERM");
  const to = (url?: string) => [
    ...["--to", "sqlite", "--datastore", etcdFlag(url), "--encrypt-secrets"],
  ];
  await killedHalfWay(to);
  await server.start();
  expect(await contents()).toEqual(before);
  await server.kill("SIGTERM");

  const started = performance.now();
  const done = await migrate(...to());
  const ms = Math.round(performance.now() - started);
  console.log(`to SQLite: ${ms} ms: ${done.stdout.trim().replaceAll("\n", "; ")}`);
  expect(done).toMatchObject({ exitCode: 0 });
  expect(existsSync(join(server.dataDir, "migrating"))).toBe(false);
  const file = readFileSync(join(server.dataDir, "state.db"));
  expect(file.includes(Buffer.from(SECRET).toString("base64"))).toBe(false);
  const late = await server.start().catch((error: Error) => error.message);
  expect(late).toContain("moved from etcd to");
  await server.start(...ENCRYPTED);
  expect(await contents()).toEqual(before);
  expect(await newest()).toBeGreaterThan(seen);
  await assertOld(page, page.items[0]?.metadata.name ?? "");
  await seesNew(informer.names, "after-the-way-back");
  await server.kill("SIGTERM");
  expectRefused(await migrate("--to", etcdFlag()), "still holds what moved to");
}, 270_000);
