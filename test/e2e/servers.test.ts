/** Several servers on one etcd, as real processes with real kubectl. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";
import { eventually } from "#test/support/instance.ts";
import { quickest } from "#test/support/lab.ts";
import { type TestServer, type TestServers, testServers } from "#test/support/servers.ts";

const MOVED_MS_MAX = 10_000;
let etcd: EtcdCluster;
let servers: TestServers;
let first: TestServer;
let second: TestServer;

const readIn = (server: TestServer, file: string) =>
  readFileSync(join(server.dataDir, file), "utf8");

beforeAll(async () => {
  etcd = await startEtcd();
  servers = testServers(etcd.urls);
  first = await servers.add("s1", "192.0.2.1");
  await first.start();
  second = await servers.add("s2", "192.0.2.2");
  await second.start("--server-token", readIn(first, "server-token").trim());
}, 180_000);

afterAll(async () => {
  await servers.stop();
  await etcd.stop();
});

test("servers have one authority, one key for service accounts and one admin", () => {
  for (const file of ["pki/ca.crt", "pki/ca.key", "pki/service-account.key", "admin-token"]) {
    expect([file, readIn(second, file)]).toEqual([file, readIn(first, file)]);
  }
  expect(readIn(second, "pki/server.key")).not.toBe(readIn(first, "pki/server.key"));
});

test("servers that start at once on an empty datastore all become ready", async () => {
  for (let round = 0; round < 2; round++) {
    const flags = ["--etcd-prefix", `/once-${round}/`, "--server-token", "x".repeat(32)];
    const names = ["a", "b", "c"].map((name) => `${name}${round}`);
    const all = await Promise.all(names.map((name, i) => servers.add(name, `192.0.2.${i + 4}`)));
    await Promise.all(all.map((server) => server.start(...flags)));
    await Promise.all(all.map((server) => server.kill("SIGTERM")));
  }
}, 180_000);

test("what one writes the other has at once, and a token of one is good at the other", async () => {
  await first.kubectl("create", "configmap", "a", "--from-literal=x=1");
  expect(await second.kubectl("get", "cm", "a", "-o", "jsonpath={.data.x}")).toBe("1");
  const token = (await first.kubectl("create", "token", "default")).trim();
  const who = await second.kubectl("auth", "whoami", "--token", token, "-o", "name").catch(String);
  expect(who).toContain("selfsubjectreview");
  await second.kubectl("delete", "cm", "a");
  expect(await first.kubectl("get", "cm", "a", "--ignore-not-found")).toBe("");
});

test("Services of both servers have different addresses", async () => {
  const create = (server: TestServer, name: string) =>
    server.kubectl("create", "service", "nodeport", name, "--tcp=80");
  for (let i = 0; i < 4; i++) await create(i % 2 === 0 ? first : second, `svc-${i}`);
  const path = "jsonpath={range .items[*]}{.spec.clusterIP} {.spec.ports[0].nodePort}{'\\n'}{end}";
  const lines = (await first.kubectl("get", "svc", "-o", path)).trim().split("\n");
  expect(new Set(lines.map((line) => line.split(" ")[0])).size).toBe(5);
});

test("the kubernetes Service leads to all servers that live", async () => {
  const addresses = async () => {
    const path = "jsonpath={.subsets[*].addresses[*].ip}";
    return (await first.kubectl("get", "endpoints", "kubernetes", "-o", path)).trim();
  };
  const both = async () => (await addresses()) === "192.0.2.1 192.0.2.2";
  await eventually("both are there", 60_000, both);
});

test("a server without the secret, or with a wrong one, ends in one line", async () => {
  const stranger = await servers.add("s3", "192.0.2.3");
  const error = await stranger.start().catch((thrown: Error) => thrown.message);
  expect(error).toContain("whose secret is not known here");
  expect(error).toContain("--server-token");
  const wrong = await stranger.start("--server-token", "x".repeat(32)).catch(String);
  expect(wrong).toContain("not the one of this datastore's cluster");
  expect(wrong).not.toContain("    at ");
});

test("when the leader dies, the other one runs the controllers within 10 s", async () => {
  await second.kubectl("create", "deployment", "before", "--image", "web:1");
  const holder = async () =>
    (
      await second.kubectl(
        ...["get", "lease", "-n", "kube-system", "bramble-controllers"],
        ...["-o", "jsonpath={.spec.holderIdentity}"],
      )
    ).trim();
  const tookMs = await quickest(MOVED_MS_MAX, async (at) => {
    if (at > 0) await first.start();
    // Where the machine holds one up for long, the other one leads already.
    await eventually("one leads", 60_000, async () => /^s[12]_/.test(await holder()));
    if (!(await holder()).startsWith(first.name)) [first, second] = [second, first];
    const killedAt = performance.now();
    await first.kill();
    const name = `web${at}`;
    await second.kubectl("create", "deployment", name, "--image", "web:1", "--replicas", "2");
    await eventually("pods are made by the other one", 60_000, async () => {
      const names = await second.kubectl("get", "pods", "-l", `app=${name}`, "-o", "name");
      return names.trim().split("\n").length === 2;
    });
    return performance.now() - killedAt;
  });
  expect(tookMs).toBeLessThan(MOVED_MS_MAX);
  expect(await holder()).toStartWith(`${second.name}_`);
  const path = "jsonpath={.subsets[*].addresses[*].ip}";
  await eventually("only one is advertised", 60_000, async () => {
    const found = await second.kubectl("get", "endpoints", "kubernetes", "-o", path);
    return found === (second.name === "s2" ? "192.0.2.2" : "192.0.2.1");
  });
}, 360_000);

test("a server that comes back needs no secret again", async () => {
  await first.start();
  expect(await first.kubectl("get", "deploy", "web0", "-o", "name")).toContain("web0");
});
