/** Join tokens that are spent, expired or not ones, and names that are taken. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import type { JWK } from "jose";
import { storeToken } from "#agents/join/admit.ts";
import { JOIN_PATH } from "#agents/join/join.ts";
import { type JoinToken, newToken } from "#agents/join/token.ts";
import { createTunnelHub } from "#agents/tunnel/hub.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { realRandom } from "#base/random.ts";
import type { Client } from "#client/client.ts";
import { createClient } from "#client/http.ts";

import type { ApiObject } from "#resources/meta.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";
import { serveAll } from "../../src/main/routes.ts";

let api: TestApi;
let client: Client;
let fetch: ReturnType<typeof serveAll>;
/** The time of the server, beside the real one. */
let shiftMs = 0;
const clock = { ...realClock, now: () => Date.now() + shiftMs };
const SECRETS = "/api/v1/namespaces/kube-system/secrets";

beforeAll(async () => {
  api = await startApi({ clock });
  client = createClient((request) => api.api.fetch(request, { user: ADMIN }));
  const cluster = {
    clusterCidr: "10.42.0.0/16",
    serviceCidr: "10.43.0.0/16",
    clusterDns: "10.43.0.10",
    clusterDomain: "cluster.local",
  };
  fetch = serveAll({
    ...{ api: api.api, client, clock, caPem: "", cluster, programsDir: "/nowhere" },
    hub: createTunnelHub({ log: silentLog, clock }),
    serverName: "Server",
  });
});
afterAll(() => api.close());

const newKey = (): JWK =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey.export({ format: "jwk" }) as JWK;

async function token(options: Parameters<typeof storeToken>[2] = {}): Promise<JoinToken> {
  const made = newToken("0".repeat(64), realRandom);
  await storeToken(client, made, options);
  return made;
}

const bearer = ({ id, secret }: JoinToken): string => `${id}.${secret}`;

async function join(credential: string | undefined, nodeName: unknown, publicKey: unknown) {
  const headers: Record<string, string> = { "content-type": "application/json" };
  if (credential !== undefined) headers["authorization"] = `Bearer ${credential}`;
  const body = JSON.stringify({ nodeName, publicKey });
  const request = new Request(`http://server${JOIN_PATH}`, { method: "POST", headers, body });
  const answer = await fetch(request, {});
  const { message = "" } = (await answer.json()) as { message?: string };
  return { code: answer.status, message };
}

/** Returns the user name that the API sees for a token. */
async function asUser(credential: string): Promise<number> {
  const headers = { authorization: `Bearer ${credential}` };
  return (await api.api.fetch(new Request("http://server/api", { headers }), {})).status;
}

describe("a name", () => {
  test("of a node that joined is its key's, and the refusal says how to free it", async () => {
    const made = await token();
    const key = newKey();
    expect((await join(bearer(made), "n1", key)).code).toBe(200);
    const taken = await join(bearer(made), "n1", newKey());
    expect(taken.code).toBe(409);
    expect(taken.message).toContain("bramble node remove n1");
    expect(taken.message).toContain("--node-name");
    expect((await join(bearer(made), "n1", key)).code).toBe(200);
  });

  test("of a Node that has no key here is taken, too", async () => {
    await api.create("/api/v1/nodes", { metadata: { name: "alone" } } as ApiObject);
    const { code, message } = await join(bearer(await token()), "alone", newKey());
    expect([code, message]).toEqual([409, expect.stringContaining("bramble node remove alone")]);
  });

  test("of a server is taken, whether it has a Node or not", async () => {
    const lease = { metadata: { name: "bramble-server-second", labels: {} }, spec: {} };
    const leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    await api.create(leases, lease as ApiObject);
    for (const name of ["server", "second"]) {
      const { code, message } = await join(bearer(await token()), name, newKey());
      expect([code, message]).toEqual([409, expect.stringContaining("--node-name")]);
    }
  });

  test("has one spelling", async () => {
    const made = bearer(await token());
    const names = ["N1", "n1.", ".n1", "n1..x", "n1 ", "n1\n", "n1/x", "n1%00", "ｎ1", "", "-n", 7];
    for (const name of [...names, "a".repeat(64), "x.-y", "../n1", ["n1"], null]) {
      expect([name, (await join(made, name, newKey())).code]).toEqual([name, 400]);
    }
  });

  test("goes to one of two that ask at the same time, and the other is told", async () => {
    const made = bearer(await token());
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => join(made, "race", newKey())),
    );
    expect(answers.map(({ code }) => code).sort()).toEqual([200, 409, 409, 409]);
  });

  test("is not given by a certificate for another key, whoever signed it", async () => {
    const user = { name: "system:node:n1", groups: ["system:nodes"] };
    const { x, y } = newKey();
    for (const certificateKey of [undefined, `${x}.${y}`]) {
      const env = { certificateUser: user, certificateKey };
      expect((await fetch(new Request("http://server/api"), env)).status).toBe(401);
      const program = new Request("http://server/bramble/v1/program/amd64");
      expect((await fetch(program, env)).status).toBe(401);
    }
  });

  test("that a token was made for is the only one that it gives", async () => {
    const made = bearer(await token({ nodeName: "meant" }));
    expect((await join(made, "other", newKey())).code).toBe(403);
    expect((await join(made, "meant", newKey())).code).toBe(200);
  });
});

describe("a key", () => {
  test("is a point on the curve, and public", async () => {
    const made = bearer(await token());
    const good = newKey();
    const bad = [
      {},
      [],
      { ...good, x: undefined },
      { ...good, x: [good.x] },
      { ...good, x: "AA" },
      { ...good, x: good.y, y: good.x },
      { ...good, crv: "P-384" },
      { ...good, d: "AA" },
    ];
    for (const key of bad) expect((await join(made, "keyed", key)).code).toBe(400);
  });
});

/** Checks that join and API reject the token, also for a key that joined with it. */
async function useless(credential: string, joined?: [name: string, key: JWK]): Promise<void> {
  expect((await join(credential, "useless", newKey())).code).toBe(401);
  if (joined !== undefined) expect((await join(credential, ...joined)).code).toBe(401);
  expect(await asUser(credential)).toBe(401);
  const review = await client.fetch(
    new Request("http://api/apis/authentication.k8s.io/v1/tokenreviews", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ spec: { token: credential } }),
    }),
  );
  expect(((await review.json()) as { status: object }).status).not.toHaveProperty("authenticated");
}

describe("a token", () => {
  test("for one join lets one device in, of many at the same time", async () => {
    const made = bearer(await token({ uses: 1 }));
    const names = Array.from({ length: 6 }, (_, index) => `one-${index}`);
    const answers = await Promise.all(names.map((name) => join(made, name, newKey())));
    expect(answers.filter(({ code }) => code === 200)).toHaveLength(1);
    const secrets = await api.call("GET", SECRETS);
    const keys = secrets.body.items.filter((each: { metadata: { name: string } }) =>
      each.metadata.name.startsWith("one-"),
    );
    expect(keys).toHaveLength(1);
    await useless(made);
  });

  test("that is spent is good only for the key that it let in, as long as it lasts", async () => {
    const made = bearer(await token({ uses: 1, expiresAtMs: clock.now() + 60_000 }));
    const key = newKey();
    expect((await join(made, "spent", key)).code).toBe(200);
    // The client may not receive the answer.
    expect((await join(made, "spent", key)).code).toBe(200);
    expect((await join(made, "n1", key)).code).toBe(401);
    await useless(made);
    shiftMs += 61_000;
    await useless(made, ["spent", key]);
  });

  test("that expires while the body is on its way is none", async () => {
    const made = bearer(await token({ expiresAtMs: clock.now() + 60_000 }));
    const text = JSON.stringify({ nodeName: "slow", publicKey: newKey() });
    const body = new ReadableStream({
      pull(controller) {
        shiftMs += 61_000;
        controller.enqueue(Buffer.from(text));
        controller.close();
      },
    });
    const headers = { authorization: `Bearer ${made}` };
    const request = new Request(`http://server${JOIN_PATH}`, { method: "POST", headers, body });
    expect((await fetch(request, {})).status).toBe(401);
  });

  test("that is spent is not good for a key that another token let in", async () => {
    const first = bearer(await token());
    const second = bearer(await token({ uses: 1 }));
    const key = newKey();
    expect((await join(first, "first", key)).code).toBe(200);
    expect((await join(second, "second-one", newKey())).code).toBe(200);
    expect((await join(second, "first", key)).code).toBe(401);
  });

  test("that is expired, deleted, of another type or damaged is none", async () => {
    const key = newKey();
    const change = async (data: object, rest: object = {}): Promise<string> => {
      const made = await token({ uses: 5 });
      const name = `bootstrap-token-${made.id}`;
      const old = (await api.call("GET", `${SECRETS}/${name}`)).body;
      await api.call("DELETE", `${SECRETS}/${name}`);
      const { type, data: before } = old;
      const encoded = Object.entries(data).map(([each, text]) => [each, btoa(String(text))]);
      const all = { ...before, ...Object.fromEntries(encoded) };
      const metadata = { name };
      await api.create(SECRETS, { metadata, type, data: all, ...rest } as ApiObject);
      return bearer(made);
    };
    await useless(await change({ expiration: new Date(clock.now() - 1).toISOString() }));
    await useless(await change({ expiration: "never" }));
    await useless(await change({ "bramble-uses": "0" }));
    await useless(await change({ "bramble-uses": "many" }));
    await useless(await change({ "bramble-uses": "-1" }));
    await useless(await change({ "usage-bootstrap-authentication": "false" }));
    await useless(await change({ "token-id": "zzzzzz" }));
    await useless(await change({}, { type: "Opaque" }));
    const gone = await token();
    expect((await join(bearer(gone), "of-gone", key)).code).toBe(200);
    await api.call("DELETE", `${SECRETS}/bootstrap-token-${gone.id}`);
    await useless(bearer(gone), ["of-gone", key]);
  });

  test("that waits for a finalizer is none", async () => {
    const made = await token();
    const path = `${SECRETS}/bootstrap-token-${made.id}`;
    const headers = { "content-type": "application/merge-patch+json" };
    const finalizers = (list: string[] | null) =>
      api.call("PATCH", path, { metadata: { finalizers: list } }, { headers });
    await finalizers(["example.com/stays"]);
    await api.call("DELETE", path);
    await useless(bearer(made));
    await finalizers(null);
  });

  test("has its whole secret", async () => {
    const made = await token();
    const wrong = [
      made.id,
      `${made.id}.`,
      `${bearer(made)}.x`,
      `${bearer(made)}x`,
      `.${made.secret}`,
    ];
    for (const credential of [...wrong, bearer(made).toUpperCase(), "admin-token", ""]) {
      expect([credential, (await join(credential, "whole", newKey())).code]).toEqual([
        credential,
        401,
      ]);
    }
    expect((await join(undefined, "whole", newKey())).code).toBe(401);
    const empty = { "token-id": btoa("aaaaaa"), "token-secret": "" };
    await api.create(SECRETS, {
      metadata: { name: "bootstrap-token-aaaaaa" },
      ...{ type: "Opaque", data: empty },
    } as ApiObject);
    expect((await join("aaaaaa.", "whole", newKey())).code).toBe(401);
  });

  test("is asked for before the body is read", async () => {
    let read = false;
    const body = new ReadableStream(
      {
        pull(controller) {
          read = true;
          controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    const request = new Request(`http://server${JOIN_PATH}`, { method: "POST", body });
    expect((await fetch(request, {})).status).toBe(401);
    expect(read).toBe(false);
    const headers = { authorization: `Bearer ${bearer(await token())}` };
    const large = `{"nodeName":"large","pad":"${"x".repeat(100_000)}"}`;
    const request2 = new Request(`http://server${JOIN_PATH}`, {
      method: "POST",
      headers,
      body: large,
    });
    expect((await fetch(request2, {})).status).toBe(413);
  });
});
