/** A review must not call a token good for an audience that it was not made for. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { SignJWT } from "jose";
import type { ApiObject } from "#resources/meta.ts";
import { ADMIN_TOKEN, startApi, type TestApi } from "#test/support/api.ts";

let api: TestApi;
const tokens = new Map<string, string>();
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const SECRETS = "/api/v1/namespaces/kube-system/secrets";
const DEFAULT = "/api/v1/namespaces/default";
const kinds = ["administrator", "node", "bootstrap", "account", "secret"];
let own = "";

const nodeToken = (claims: object = {}): Promise<string> =>
  new SignJWT({ ...claims })
    .setProtectedHeader({ alg: "ES256", kid: "n1" })
    .setIssuer("bramble-node")
    .setSubject("system:node:n1")
    .setExpirationTime("5m")
    .sign(privateKey);

beforeAll(async () => {
  api = await startApi();
  const { kty, crv, x, y } = publicKey.export({ format: "jwk" });
  await api.create(SECRETS, {
    metadata: { name: "n1.node-key.bramble" },
    ...{ type: "bramble.dev/node-key", data: { key: btoa(JSON.stringify({ kty, crv, x, y })) } },
  } as ApiObject);
  await api.create(SECRETS, {
    metadata: { name: "bootstrap-token-abcdef" },
    type: "bootstrap.kubernetes.io/token",
    stringData: {
      "token-id": "abcdef",
      "token-secret": "0123456789abcdef",
      "usage-bootstrap-authentication": "true",
    },
  } as ApiObject);
  await api.create(`${DEFAULT}/serviceaccounts`, { metadata: { name: "robot" } });
  const made = await api.call("POST", `${DEFAULT}/serviceaccounts/robot/token`, {});
  const held = await api.create(`${DEFAULT}/secrets`, {
    metadata: { name: "held", annotations: { "kubernetes.io/service-account.name": "robot" } },
    type: "kubernetes.io/service-account-token",
  } as ApiObject);
  const { token: inSecret = "" } = (held as { data?: Record<string, string> }).data ?? {};
  own = made.body.spec.audiences[0];
  tokens.set("administrator", ADMIN_TOKEN);
  tokens.set("node", await nodeToken());
  tokens.set("bootstrap", "abcdef.0123456789abcdef");
  tokens.set("account", made.body.status.token);
  tokens.set("secret", atob(inSecret));
});
afterAll(() => api.close());

async function review(token: string, audiences?: string[]) {
  const spec = { token, ...(audiences && { audiences }) };
  const answer = await api.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews", { spec });
  expect(answer.code).toBe(201);
  return answer.body.status;
}

describe.each(kinds)("a token of sort %s", (kind) => {
  const token = (): string => tokens.get(kind) ?? "";

  test("is good for the API's audience, and the answer says so", async () => {
    for (const audiences of [undefined, [], [own], ["other", own], [own, own]]) {
      const status = await review(token(), audiences);
      expect([audiences, status.authenticated, status.audiences]).toEqual([audiences, true, [own]]);
    }
  });

  test("is not good for another one", async () => {
    for (const audiences of [
      ["other"],
      [""],
      ["*"],
      [`${own}/`],
      [own.toUpperCase()],
      [` ${own}`],
    ]) {
      const status = await review(token(), audiences);
      expect([audiences, status.authenticated, status.audiences, status.user]).toEqual([
        audiences,
        undefined,
        undefined,
        {},
      ]);
    }
  });
});

test("a node's token that names another audience is not good for the API", async () => {
  const elsewhere = await nodeToken({ aud: "other" });
  expect((await review(elsewhere)).authenticated).toBeUndefined();
  expect((await review(elsewhere, ["other"])).authenticated).toBeUndefined();
  expect((await review(await nodeToken({ aud: [own] }))).authenticated).toBe(true);
});
