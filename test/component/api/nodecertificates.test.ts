/** Nodes show their certificates over real TLS, and are their key: not one second longer. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { join } from "node:path";
import { openCredentials } from "#agents/join/credentials.ts";
import { openIdentity } from "#agents/join/identity.ts";
import { limits } from "#base/limits.ts";
import { requestCertificate } from "#base/x509.ts";
import { fakeClock } from "#test/support/clock.ts";
import { startServer, type TestServer } from "#test/support/server.ts";
import { connectRemote } from "../../../src/main/remote.ts";

const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const PODS = "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1";
const NODE = { commonName: "system:node:n1", organizations: ["system:nodes"] };
let server: TestServer;
beforeAll(async () => {
  server = await startServer();
});
afterAll(() => server.stop());

const register = (name: string, publicKey: object) =>
  server.create(SECRETS, {
    metadata: { name: `${name}.node-key.bramble` },
    data: { key: btoa(JSON.stringify(publicKey)) },
  } as object);

const YEAR_MS = 365 * 24 * 3_600_000;
const hashOf = (pem: string): string =>
  new X509Certificate(pem).fingerprint256.replaceAll(":", "").toLowerCase();

/** A device with its key, and the certificate that it shows, if any. */
async function device(name: string) {
  const clock = fakeClock(Date.now());
  const identity = await openIdentity({ dir: join(server.dir, name), nodeName: "n1", clock });
  const state = { certificate: undefined as string | undefined, unknown: 0, tokens: 0 };
  const credentials = openCredentials({
    identity: {
      keyPem: identity.keyPem,
      token() {
        state.tokens++;
        return identity.token();
      },
    },
    caPem: server.caPem,
    certificate: () => state.certificate,
    clock,
  });
  const remote = connectRemote({
    server: () => server.url,
    credentials,
    clock,
    onUnknown: () => void state.unknown++,
  });
  const code = async (path = PODS) => (await remote.fetch(new Request(`http://api${path}`))).status;
  /** What the server knows of its user beside name and groups. */
  const extra = async (): Promise<unknown> => {
    const url = "http://api/apis/authentication.k8s.io/v1/selfsubjectreviews";
    const headers = { "content-type": "application/json" };
    const answer = await remote.fetch(new Request(url, { method: "POST", headers, body: "{}" }));
    const { status } = (await answer.json()) as { status: { userInfo: { extra?: unknown } } };
    return status.userInfo.extra;
  };
  const issue = (subject = NODE): string => {
    const key = createPrivateKey(identity.keyPem);
    const csr = requestCertificate({ subject, altNames: { dns: [], ips: [] }, key });
    return server.pki.signCertificate(csr, { usages: ["client auth"], days: 1 });
  };
  return { clock, identity, state, code, extra, issue };
}

test("a node's requests carry its certificate as soon as it has one, and no token", async () => {
  const n1 = await device("first");
  await register("n1", n1.identity.publicKey);
  expect([await n1.code(), n1.state.tokens]).toEqual([200, 1]);
  n1.state.certificate = n1.issue();
  await n1.clock.advance(limits.certificateReadMs);
  expect([await n1.code(), await n1.code(), n1.state.tokens]).toEqual([200, 200, 1]);
  // An audit tells one certificate from the next one.
  expect(await n1.extra()).toEqual({
    "authentication.kubernetes.io/credential-id": [`X509SHA256=${hashOf(n1.state.certificate)}`],
  });
  // It is the node and no more.
  expect(await n1.code("/api/v1/secrets")).toBe(403);
  // Past its end, or damaged, it is not shown at all.
  n1.clock.jump(25 * 3_600_000);
  expect([await n1.code(), n1.state.tokens]).toEqual([200, 2]);
  n1.clock.jump(-25 * 3_600_000);
  n1.state.certificate = "nonsense";
  await n1.clock.advance(limits.certificateReadMs);
  expect([await n1.code(), n1.state.tokens]).toEqual([200, 3]);
});

test("a certificate that the server does not take is tried once more as a token", async () => {
  const n1 = await device("first");
  const stranger = await device("stranger");
  stranger.state.certificate = stranger.issue();
  expect([await stranger.code(), stranger.state.tokens]).toEqual([401, 1]);
  const other = { commonName: "system:node:n2", organizations: ["system:nodes"] };
  n1.state.certificate = n1.issue(other);
  expect([await n1.code(), n1.state.tokens, n1.state.unknown]).toEqual([200, 1, 0]);
  // It is left aside for a while, and tried again.
  n1.state.certificate = n1.issue();
  await n1.clock.advance(limits.certificateReadMs);
  expect([await n1.code(), n1.state.tokens]).toEqual([200, 2]);
  await n1.clock.advance(limits.certificateAsideMs);
  expect([await n1.code(), n1.state.tokens]).toEqual([200, 2]);
});

test("a node that was removed is none, though its certificate has hours left", async () => {
  const n1 = await device("first");
  n1.state.certificate = n1.issue();
  expect([await n1.code(), n1.state.tokens]).toEqual([200, 0]);
  await server.call("DELETE", `${SECRETS}/n1.node-key.bramble`);
  expect([await n1.code(), n1.state.tokens, n1.state.unknown]).toEqual([401, 1, 0]);
  await n1.clock.advance(limits.unknownAfterMs);
  expect([await n1.code(), n1.state.unknown]).toEqual([401, 1]);
});

test("a node whose clock is not the server's is refused, but not unknown", async () => {
  await register("n1", (await device("first")).identity.publicKey);
  const n1 = await device("first");
  n1.clock.jump(-YEAR_MS);
  expect(await n1.code()).toBe(401);
  await n1.clock.advance(limits.unknownAfterMs);
  expect([await n1.code(), n1.state.unknown]).toEqual([401, 0]);
  // Its clock was set right: one refusal more may be of before.
  n1.clock.jump(YEAR_MS);
  expect([await n1.code(), n1.state.unknown]).toEqual([200, 0]);
  n1.clock.jump(-YEAR_MS);
  expect(await n1.code()).toBe(401);
  n1.clock.jump(YEAR_MS);
  expect([await n1.code(), n1.state.unknown]).toEqual([200, 0]);
});
