/** The audit log of a running server, by its flags. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { eventually } from "#test/support/instance.ts";
import { type PlainServer, plainServer } from "#test/support/plainserver.ts";

let server: PlainServer;
beforeEach(async () => {
  server = await plainServer();
});
afterEach(() => server?.close());

const POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, users: ["bramble:server"]}
- {level: Metadata, resources: [{group: "", resources: [secrets]}]}
- {level: Request, verbs: [delete, watch]}
- {level: RequestResponse, resources: [{group: "", resources: [configmaps]}]}
- {level: None}
`;

interface AuditEvent {
  level: string;
  stage: string;
  verb: string;
  user: { username: string };
  impersonatedUser?: { username: string };
  objectRef: { resource: string; name?: string };
  responseStatus: { code: number; reason?: string };
  requestObject?: { data?: object };
  responseObject?: { metadata: object };
  requestURI: string;
}

const path = (name: string): string => join(server.dir, name);

function eventsIn(file: string): AuditEvent[] {
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}

test("holds what its policy asks for, and no more", async () => {
  writeFileSync(path("policy.yaml"), POLICY);
  const log = path("audit.log");
  await server.start("--audit-policy-file", path("policy.yaml"), "--audit-log-path", log);
  await server.must("create", "configmap", "a", "--from-literal=k=v");
  await server.must("create", "secret", "generic", "b", "--from-literal=k=very-secret");
  await server.must("delete", "configmap", "a");
  await server.kubectl(["get", "configmap", "none", "--as=jane"]);
  await server.must("get", "namespaces");
  const all = await eventually("all events are written", 60_000, async () => {
    const found = eventsIn(log);
    return found.some((each) => each.impersonatedUser !== undefined) && found;
  });
  const of = (verb: string, resource: string) =>
    all.filter((each) => each.verb === verb && each.objectRef.resource === resource);

  expect(of("create", "configmaps")).toMatchObject([
    {
      level: "RequestResponse",
      stage: "ResponseComplete",
      user: { username: "bramble:admin" },
      objectRef: { apiVersion: "v1", namespace: "default" },
      responseStatus: { code: 201 },
      requestObject: { data: { k: "v" } },
      responseObject: { metadata: { name: "a" } },
    },
  ]);
  expect(JSON.stringify(of("create", "configmaps"))).not.toContain("managedFields");
  const [secret] = of("create", "secrets");
  expect(secret).toMatchObject({ level: "Metadata", responseStatus: { code: 201 } });
  expect(secret?.requestObject).toBeUndefined();
  expect(readFileSync(log, "latin1")).not.toContain(btoa("very-secret"));
  expect(of("delete", "configmaps")[0]?.responseObject).toBeUndefined();
  const refused = all.find((each) => each.impersonatedUser !== undefined);
  expect(refused).toMatchObject({
    impersonatedUser: { username: "jane" },
    responseStatus: { code: 403, reason: "Forbidden" },
  });
  expect(of("list", "namespaces")).toEqual([]);
  expect(statSync(log).mode & 0o777).toBe(0o600);
}, 180_000);

test("is begun anew when it is full, and keeps so many old files", async () => {
  writeFileSync(
    path("policy.yaml"),
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]",
  );
  const flags = ["--audit-log-maxsize", "1", "--audit-log-maxbackup", "2"];
  const log = path("audit.log");
  await server.start("--audit-policy-file", path("policy.yaml"), "--audit-log-path", log, ...flags);
  writeFileSync(path("big"), "x".repeat(200_000));
  for (let count = 0; count < 20; count += 1) {
    await server.must("create", "configmap", `m${count}`, `--from-file=${path("big")}`);
  }
  await server.stop();
  const files = readdirSync(server.dir).filter((name) => name.startsWith("audit"));
  expect(files).toHaveLength(3);
  for (const name of files) expect(statSync(path(name)).size).toBeLessThan(1.5 * 1024 * 1024);
  const names = files.flatMap((name) => eventsIn(path(name)).map((each) => each.requestURI));
  expect(names.length).toBeGreaterThan(0);
}, 180_000);

test("with a policy that is wrong is refused at the start", async () => {
  writeFileSync(path("policy.yaml"), POLICY.replace("level: None}", "level: Everything}"));
  const both = ["--audit-policy-file", path("policy.yaml"), "--audit-log-path", path("a.log")];
  const wrong = await server.fails(...both);
  expect([wrong.exitCode, wrong.stderr]).toEqual([1, expect.stringContaining("rules.4.level")]);
  const half = await server.fails(...both.slice(0, 2));
  expect([half.exitCode, half.stderr]).toEqual([2, expect.stringContaining("give both")]);
}, 180_000);
