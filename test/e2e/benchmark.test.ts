/** Checks of the CIS Kubernetes Benchmark that a running server can show. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type PlainServer, plainServer } from "#test/support/plainserver.ts";

let server: PlainServer;

beforeAll(async () => {
  server = await plainServer();
  await server.start("--encrypt-secrets");
});
afterAll(() => server?.close());

const status = async (path: string, token?: string): Promise<number> => {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(server.url + path, { headers, tls: { rejectUnauthorized: false } });
  await answer.arrayBuffer();
  return answer.status;
};

test("1.1: files of the control plane are readable by their owner alone", () => {
  const open = readdirSync(server.dataDir, { recursive: true, encoding: "utf8" })
    .map((name) => join(server.dataDir, name))
    .filter((path) => (lstatSync(path).mode & 0o077) !== 0);
  expect(open).toEqual([]);
  expect(lstatSync(server.dataDir).mode & 0o7777).toBe(0o700);
});

test("1.2.1, 4.2.1: without a credential only health and version are answered", async () => {
  for (const path of ["/healthz", "/livez", "/readyz", "/version"]) {
    expect([path, await status(path)]).toEqual([path, 200]);
  }
  const closed = ["/", "/api", "/apis", "/metrics", "/openapi/v2", "/openid/v1/jwks"];
  for (const path of [...closed, "/api/v1/nodes", "/api/v1/nodes/n1/proxy/pods"]) {
    expect([path, await status(path)]).toEqual([path, 401]);
    expect([path, await status(path, "wrong")]).toEqual([path, 401]);
  }
});

test("1.2.6, 1.2.7, 1.2.8: a user without a role gets nothing", async () => {
  const { stderr } = await server.kubectl(["get", "secrets", "-A", "--as=nobody"]);
  expect(stderr).toContain('User "nobody" cannot list resource "secrets"');
  const node = ["--as=system:node:n1", "--as-group=system:nodes"];
  const { stderr: denied } = await server.kubectl(["get", "secrets", "-A", ...node]);
  expect(denied).toContain("Forbidden");
});

test("1.2.12: each pod gets the service account of its namespace", async () => {
  const argv = ["run", "one", "--image=a:1", "--dry-run=server", "-o"];
  const name = await server.must(...argv, "jsonpath={.spec.serviceAccountName}");
  expect(name).toBe("default");
});

test("1.2.13: nothing is made in a namespace that is not there", async () => {
  const { stderr } = await server.kubectl(["create", "configmap", "a", "-n", "absent"]);
  expect(stderr).toContain('namespaces "absent" not found');
});

test("1.2.15, 1.3.2, 1.4.1: nothing is profiled on request", async () => {
  const argv = ["get", "--raw"];
  for (const path of ["/debug/pprof/", "/debug/pprof/profile", "/debug/flags/v"]) {
    const { exitCode } = await server.kubectl([...argv, path]);
    expect([path, exitCode === 0]).toEqual([path, false]);
  }
});

test("5.2.1: Pod Security rejects a privileged pod where the namespace asks for it", async () => {
  await server.must("create", "namespace", "strict");
  const label = "pod-security.kubernetes.io/enforce=restricted";
  await server.must("label", "namespace", "strict", label);
  const argv = ["run", "one", "-n", "strict", "--image=a:1", "--privileged"];
  const { stderr } = await server.kubectl(argv);
  expect(stderr).toContain('violates PodSecurity "restricted');
});
