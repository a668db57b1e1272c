import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inNewForm } from "#api/aggregation/availability.ts";
import { openFrontProxy } from "#api/aggregation/identity.ts";
import { headersFor } from "#api/aggregation/remote.ts";
import { realRandom } from "#base/random.ts";
import { fakeClock } from "#test/support/clock.ts";

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "bramble-front-proxy-"));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

describe("the front proxy's certificate", () => {
  const open = (nowMs: number) =>
    openFrontProxy({ dir, clock: fakeClock(nowMs), random: realRandom });
  let first: ReturnType<typeof open>;
  beforeAll(() => {
    first = open(Date.UTC(2026, 5, 1));
  });

  test("is signed by an authority of its own, for clients", () => {
    const certificate = new X509Certificate(first.certPem);
    expect(certificate.subject).toBe("CN=front-proxy-client");
    expect(certificate.issuer).toBe("CN=bramble-front-proxy-ca");
    expect(certificate.checkIssued(new X509Certificate(first.caPem))).toBe(true);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(statSync(join(dir, "front-proxy-client.key")).mode & 0o777).toBe(0o600);
  });

  test("stays until its last year", () => {
    expect(open(Date.UTC(2027, 5, 1))).toEqual(first);
    const later = open(Date.UTC(2026, 5, 1) + 9.5 * YEAR_MS);
    expect(later.certPem).not.toBe(first.certPem);
  });

  test("that is damaged is told of", () => {
    const path = join(dir, "front-proxy-client.crt");
    const good = readFileSync(path);
    writeFileSync(path, "rubbish");
    expect(() => open(Date.UTC(2027, 5, 1))).toThrow("front-proxy-client.crt is damaged");
    writeFileSync(path, good);
  });
});

test("headers name the user, and nobody else may", () => {
  const given = new Headers({
    accept: "application/json",
    authorization: "Bearer x",
    host: "h",
    connection: "keep-alive",
    "x-remote-user": "root",
    "x-remote-extra-a": "b",
    "impersonate-user": "root",
    x_remote_user: "root",
    "proxy-authorization": "Basic x",
    "sec-websocket-protocol": "base64url.bearer.authorization.k8s.io.eA",
  });
  const user = { name: "u", uid: "1", groups: ["a", "b"], extra: { "k/x": ["v"] } };
  expect(headersFor(given, user)).toEqual({
    accept: "application/json",
    "x-remote-user": "u",
    "x-remote-uid": "1",
    "x-remote-group": ["a", "b"],
    "x-remote-extra-k%2Fx": ["v"],
  });
});

test("resources of the old discovery are shown in the form of the new one", () => {
  const resources = [
    { name: "foos", kind: "Foo", namespaced: true, singularName: "foo", verbs: ["get"] },
    {
      name: "foos/scale",
      kind: "Scale",
      group: "autoscaling",
      version: "v1",
      namespaced: true,
      verbs: ["get"],
    },
  ];
  expect(inNewForm({ resources }, "ext.io", "v1")).toEqual([
    {
      resource: "foos",
      responseKind: { group: "ext.io", version: "v1", kind: "Foo" },
      scope: "Namespaced",
      singularResource: "foo",
      verbs: ["get"],
      subresources: [
        {
          subresource: "scale",
          responseKind: { group: "autoscaling", version: "v1", kind: "Scale" },
          verbs: ["get"],
        },
      ],
    },
  ]);
});
