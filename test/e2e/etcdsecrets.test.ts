/** Secrets of several servers on one etcd: encrypted while the servers are restarted one by one. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realClock } from "#base/clock.ts";
import { isSealed } from "#base/sealer.ts";
import { EtcdKeys } from "#store/etcd/keys.ts";
import { Members } from "#store/etcd/members.ts";
import { SERVER_KEYS } from "#store/etcd/place.ts";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";
import { mustRun } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";
import { type TestServer, type TestServers, testServers } from "#test/support/servers.ts";
import { quietLog } from "#test/support/store.ts";

let etcd: EtcdCluster;
let servers: TestServers;
let first: TestServer;
let second: TestServer;
let members: Members;

beforeAll(async () => {
  etcd = await startEtcd();
  servers = testServers(etcd.urls);
  members = new Members({ urls: etcd.urls, clock: realClock, log: quietLog });
  first = await servers.add("s1", "192.0.2.1");
  second = await servers.add("s2", "192.0.2.2");
});

afterAll(async () => {
  members.close();
  await servers.stop();
  await etcd.stop();
});

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** Secrets as they lie in etcd. */
async function stored(prefix = "core/secrets/"): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const keys = new EtcdKeys(members, "/bramble/");
  for await (const { key, value } of keys.all(prefix)) found.set(key, value);
  return found;
}

const create = (server: TestServer, name: string) =>
  server.kubectl("create", "secret", "generic", name, `--from-literal=a=text of ${name}`);

/** What both servers say of the Secrets. */
async function expectReadable(...names: string[]): Promise<void> {
  for (const server of [first, second]) {
    for (const name of names) {
      const value = await server.kubectl("get", "secret", name, "-o", "jsonpath={.data.a}");
      expect([server.name, name, value]).toEqual([server.name, name, base64(`text of ${name}`)]);
    }
  }
}

async function expectAllSealed(): Promise<void> {
  for (const [key, value] of await stored()) expect([key, isSealed(value)]).toEqual([key, true]);
}

test("a server that is told to encrypts all Secrets, others go on reading them", async () => {
  await first.start();
  const token = readFileSync(join(first.dataDir, "server-token"), "utf8").trim();
  await second.start("--server-token", token);
  await create(first, "old");
  expect((await stored()).get("core/secrets/default/old")).toContain(base64("text of old"));
  await first.kill("SIGTERM");
  await first.start("--encrypt-secrets");
  await expectAllSealed();
  await create(first, "new");
  await expectAllSealed();
  await expectReadable("old", "new");
  await second.kill("SIGTERM");
  await second.start("--encrypt-secrets");
  await create(second, "newer");
  await second.kubectl("patch", "secret", "old", "-p", '{"metadata":{"labels":{"x":"y"}}}');
  await expectAllSealed();
  await expectReadable("old", "new", "newer");
}, 180_000);

test("the keys lie in etcd sealed, and are the same at all servers", async () => {
  const keys = readFileSync(join(first.dataDir, "encryption-keys"), "utf8");
  expect(readFileSync(join(second.dataDir, "encryption-keys"), "utf8")).toBe(keys);
  const common = (await new EtcdKeys(members, "/bramble/").get(SERVER_KEYS))?.value;
  expect(common).toContain("bramble-servers");
  expect(common).not.toContain(keys.trim().split(":")[1] ?? "");
});

test("a new key is used by servers that run, and old Secrets stay readable", async () => {
  const flags = ["--data-dir", first.dataDir, "--datastore", `etcd=${etcd.urls.join(",")}`];
  const said = await mustRun([BRAMBLE, "secrets", "rotate-key", ...flags]);
  const id = /added key ([0-9a-f]{8}) /.exec(said)?.[1];
  // A read has seen all that was acknowledged before it.
  await expectReadable("old");
  await create(second, "rotated");
  expect((await stored()).get("core/secrets/default/rotated")).toContain(`:${id}:`);
  await expectReadable("old", "rotated");
  await second.kill("SIGTERM");
  await second.start("--encrypt-secrets");
  for (const value of (await stored()).values()) expect(value).toContain(`:${id}:`);
  await expectReadable("old", "new", "newer", "rotated");
}, 180_000);

test("a server whose keys were damaged takes those of the cluster", async () => {
  await second.kill("SIGKILL");
  writeFileSync(join(second.dataDir, "encryption-keys"), "nonsense");
  await second.start("--encrypt-secrets");
  await expectReadable("old", "rotated");
});

test("a migration leaves them encrypted at both ends", async () => {
  for (const server of [first, second]) await server.kill("SIGTERM");
  const url = `etcd=${etcd.urls.join(",")}`;
  const migrate = (...more: string[]) =>
    mustRun([BRAMBLE, "migrate", "--data-dir", first.dataDir, "--encrypt-secrets", ...more]);
  await migrate("--to", "sqlite", "--datastore", url);
  const file = readFileSync(join(first.dataDir, "state.db"));
  expect(file.includes(base64("text of old"))).toBe(false);
  await migrate("--to", url, "--force");
  expect((await stored()).size).toBeGreaterThan(3);
  await expectAllSealed();
  for (const server of [first, second]) await server.start("--encrypt-secrets");
  await expectReadable("old", "rotated");
}, 270_000);

test("a key file of one server's own is refused", async () => {
  await second.kill("SIGTERM");
  const own = ["--encrypt-secrets", "--encryption-key-file", "/tmp/none"];
  const error = await second.start(...own).catch((thrown: Error) => thrown.message);
  expect(error).toContain("--encryption-key-file works with --datastore sqlite only");
});
