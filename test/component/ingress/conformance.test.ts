/** The cases of upstream's ingress-controller-conformance (features/*.feature), with real curl. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathCases, rule, to } from "#test/support/ingress.ts";
import { curl, echo, type Server } from "./backends.ts";
import { ADDRESS, certificateFor, INGRESSES, type Stage, startStage } from "./stage.ts";

let stage: Stage;
const servers: Server[] = [];
const caFile = join(tmpdir(), `bramble-ingress-${process.pid}.pem`);

async function serveAs(...names: string[]): Promise<void> {
  for (const name of names) {
    const server = await echo(name);
    servers.push(server);
    await stage.service(name, [server]);
  }
}

const urlOf = (host: string, path: string): string =>
  `http://${host}:${stage.agent.ports.http}${path}`;

beforeAll(async () => {
  stage = await startStage();
});

afterAll(async () => {
  await stage?.close();
  for (const server of servers) server.close();
  unlinkSync(caFile);
});

describe("host rules", () => {
  beforeAll(async () => {
    const pair = await certificateFor("foo.bar.com");
    writeFileSync(caFile, pair.cert);
    await stage.secret("conformance-tls", pair);
    await serveAs("wildcard-foo-com", "foo-bar-com");
    const named = rule("foo.bar.com", { "prefix /": "foo-bar-com" });
    for (const path of named.http?.paths ?? []) path.backend = to("foo-bar-com", "http");
    await stage.ingress("host-rules", {
      tls: [{ hosts: ["foo.bar.com"], secretName: "conformance-tls" }],
      rules: [rule("*.foo.com", { "prefix /": "wildcard-foo-com" }), named],
    });
    await stage.settled();
  });

  test("the status shows an address", async () => {
    expect(await stage.address("host-rules")).toEqual([ADDRESS]);
  });
  test("TLS traffic goes to the matching service, and the certificate is the host's", async () => {
    const url = `https://foo.bar.com:${stage.agent.ports.https}/`;
    const answer = await curl(url, "--cacert", caFile);
    expect(answer).toMatchObject({ status: 200, json: { service: "foo-bar-com" } });
    expect(answer.json.headers["x-forwarded-proto"]).toBe("https");
  });
  test("plain traffic gets there too, by way of HTTPS", async () => {
    const to = `foo.bar.com:${stage.agent.ports.https}`;
    const more = ["-L", "--cacert", caFile, "--connect-to", `${to}:127.0.0.1:${to.split(":")[1]}`];
    const answer = await curl(urlOf("foo.bar.com", "/"), ...more);
    expect(answer).toMatchObject({ status: 200, json: { service: "foo-bar-com" } });
  });
  test.each([
    ["subdomain.bar.com", 404, undefined],
    ["bar.foo.com", 200, "wildcard-foo-com"],
    ["baz.bar.foo.com", 404, undefined],
    ["foo.com", 404, undefined],
  ])("%s", async (host, status, service) => {
    const answer = await curl(urlOf(host, "/"));
    expect(answer.status).toBe(status);
    expect(answer.json?.service).toBe(service);
    if (service !== undefined) expect(answer.json.host).toStartWith(host);
  });
});

describe("path rules", () => {
  beforeAll(async () => {
    const names = ["foo-exact", "foo-prefix", "aaa-slash-bbb-prefix", "aaa-prefix"];
    await serveAs(...names, "aaa-slash-bbb-slash-prefix", "foo-slash-exact");
    await stage.ingress("path-rules", {
      rules: [
        rule("exact-path-rules", { "exact /foo": "foo-exact" }),
        rule("prefix-path-rules", {
          "prefix /foo": "foo-prefix",
          "prefix /aaa/bbb": "aaa-slash-bbb-prefix",
          "prefix /aaa": "aaa-prefix",
        }),
        rule("mixed-path-rules", { "prefix /foo": "foo-prefix", "exact /foo": "foo-exact" }),
        rule("trailing-slash-path-rules", {
          "prefix /aaa/bbb/": "aaa-slash-bbb-slash-prefix",
          "exact /foo/": "foo-slash-exact",
        }),
      ],
    });
    await stage.settled();
  });

  test.each(pathCases)("%s%s", async (host, path, service) => {
    const answer = await curl(urlOf(host, path));
    expect(answer.status).toBe(service === undefined ? 404 : 200);
    expect(answer.json?.service).toBe(service);
  });
});

test("ingress class: one of an unknown class is not served, and shows no address", async () => {
  await serveAs("ingress-class-prefix");
  await stage.ingress("test-ingress-class", {
    ingressClassName: "some-invalid-class-name",
    rules: [rule("ingress-class", { "prefix /": "ingress-class-prefix" })],
  });
  await stage.settled();
  expect((await curl(urlOf("ingress-class", "/"))).status).toBe(404);
  const { body } = await stage.test.call("GET", `${INGRESSES}/test-ingress-class`);
  expect(body.status.loadBalancer).toEqual({});
});

describe("default backend", () => {
  beforeAll(async () => {
    await serveAs("echo-service");
    await stage.ingress("default-backend", { defaultBackend: to("echo-service") });
    await stage.settled();
  });

  test.each([
    ["GET", "my-host", "/"],
    ["GET", "my-host", "/sub-path"],
    ["POST", "some-host", "/"],
    ["PUT", "127.0.0.1", "/resource"],
    ["DELETE", "some-host", "/resource"],
    ["PATCH", "my-host", "/resource"],
  ])("%s %s%s", async (method, host, path) => {
    const answer = await curl(urlOf(host, path), "-X", method);
    expect(answer).toMatchObject({ status: 200, json: { service: "echo-service", method, path } });
    for (const name of ["content-length", "content-type", "date", "server"]) {
      expect(answer.headers).toContain(`\r\n${name}: `);
    }
    expect(answer.headers).toStartWith("http/1.1 200");
    expect(answer.json.headers["user-agent"]).toStartWith("curl/");
  });

  test("load balancing: 100 requests reach all of 10 endpoints", async () => {
    const ten = await Promise.all(Array.from({ length: 10 }, (_, at) => echo(`pod-${at}`)));
    servers.push(...ten);
    await stage.service("echo-service", ten);
    await stage.settled();
    const seen = new Map<string, number>();
    for (let at = 0; at < 100; at++) {
      const answer = await fetch(stage.http);
      expect(answer.status).toBe(200);
      const { service } = (await answer.json()) as { service: string };
      seen.set(service, (seen.get(service) ?? 0) + 1);
    }
    expect([...seen.values()]).toEqual(Array.from({ length: 10 }, () => 10));
  });
});
