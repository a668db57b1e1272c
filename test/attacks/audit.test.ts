/** The audit log contains each failed authentication, no credential, and one line per event. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import { storeToken } from "#agents/join/admit.ts";
import { parsePolicy } from "#api/audit/policy.ts";
import type { RequestEnv } from "#api/core.ts";
import { realClock } from "#base/clock.ts";
import { createLog } from "#base/log.ts";
import { createClient } from "#client/http.ts";
import { ADMIN, startApi, type TestApi } from "#test/support/api.ts";
import { eventually } from "#test/support/instance.ts";
import { serveAll } from "../../src/main/routes.ts";

interface Event {
  readonly stage: string;
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly sourceIPs?: string[];
  readonly responseStatus?: { readonly code: number };
  readonly requestObject?: object;
  readonly responseObject?: object;
}

const lines: string[] = [];
const BOOTSTRAP = { id: "abcdef", secret: "0123456789abcdef" };
const JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl";
const FROM = "203.0.113.9";
let api: TestApi;
let serve: (request: Request, env: RequestEnv) => Promise<Response>;

beforeAll(async () => {
  const policy = parsePolicy(
    "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n",
  );
  api = await startApi({ audit: { policy, write: (line) => void lines.push(line) } });
  const client = createClient((request) => api.api.fetch(request, { user: ADMIN }));
  await storeToken(client, { caSha256: "", ...BOOTSTRAP }, {});
  serve = serveAll({
    ...{ api: api.api, client, clock: realClock, caPem: "", programsDir: "/nowhere" },
    ...{ hub: {}, cluster: {}, serverName: "server" },
  } as never);
});
afterAll(() => api.close());
beforeEach(() => {
  lines.length = 0;
});

const ask = async (path: string, init: RequestInit = {}): Promise<number> => {
  const request = new Request(`https://api.test${path}`, init);
  const answer = await serve(request, { remoteAddress: FROM });
  await answer.text();
  return answer.status;
};

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });

/** Returns the last audit event of the request with this path prefix. */
const complete = (path: string): Promise<Event> =>
  eventually(`the event of ${path}`, 5_000, async () =>
    lines
      .map((line) => JSON.parse(line) as Event)
      .find(({ stage, requestURI }) => stage === "ResponseComplete" && requestURI.startsWith(path)),
  );

describe("a caller without a valid credential", () => {
  const paths = [
    ["GET", "/bramble/v1/tunnel"],
    ["GET", "/bramble/v1/program/amd64"],
    ["POST", "/bramble/v1/join"],
    ["GET", "/api/v1/secrets"],
    ["GET", "/apis/apps/v1/deployments"],
    ["GET", "/metrics"],
    ["GET", "/version/x"],
  ] as const;
  const JOIN = JSON.stringify({ nodeName: "n1", publicKey: { kty: "EC", crv: "P-256" } });

  test.each(paths)("is logged: %s %s", async (method, path) => {
    const body = method === "POST" ? { body: JOIN } : {};
    for (const init of [{}, bearer("wrong"), bearer("zzzzzz.0123456789abcdef"), bearer(JWT)]) {
      lines.length = 0;
      expect(await ask(path, { method, ...body, ...init })).toBe(401);
      const event = await complete(path);
      expect(event).toMatchObject({ responseStatus: { code: 401 }, sourceIPs: [FROM] });
      expect(event.user.username).toBe("");
      expect(event.requestObject).toBeUndefined();
      expect(lines.join("")).not.toContain("0123456789abcdef");
    }
  });

  test("has no body read", async () => {
    let pulled = 0;
    const body = new ReadableStream(
      {
        pull(controller) {
          pulled += 1;
          controller.enqueue(new Uint8Array(1024));
          if (pulled === 8) controller.close();
        },
      },
      { highWaterMark: 0 },
    );
    expect(await ask("/api/v1/namespaces", { method: "POST", body })).toBe(401);
    await complete("/api/v1/namespaces");
    expect(pulled).toBe(0);
  });
});

describe("paths of bramble's own", () => {
  test("are logged with who asks", async () => {
    expect(await ask("/bramble/v1/time")).toBe(200);
    expect(await complete("/bramble/v1/time")).toMatchObject({ responseStatus: { code: 200 } });
    expect(await ask("/bramble/v1/ca")).toBe(200);
    expect(await complete("/bramble/v1/ca")).toMatchObject({ responseStatus: { code: 200 } });
    expect(await ask("/bramble/v1/none")).toBe(404);
    expect(await complete("/bramble/v1/none")).toMatchObject({ responseStatus: { code: 404 } });
    const { id, secret } = BOOTSTRAP;
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = publicKey.export({ format: "jwk" });
    const body = JSON.stringify({ nodeName: "n2", publicKey: key });
    expect(
      await ask("/bramble/v1/join", { method: "POST", body, ...bearer(`${id}.${secret}`) }),
    ).toBe(200);
    const joined = await complete("/bramble/v1/join");
    expect(joined).toMatchObject({
      user: { username: `system:bootstrap:${id}` },
      sourceIPs: [FROM],
    });
    expect(lines.join("")).not.toContain(secret);
  });
});

describe("no credential is written", () => {
  const SECRETS = ["0123456789abcdef", "hunter2", JWT];
  const clean = (): void => {
    for (const secret of SECRETS) {
      expect(lines.join("")).not.toContain(secret);
      expect(lines.join("")).not.toContain(btoa(secret));
    }
  };

  test.each([
    "/api/v1/pods?token=hunter2",
    "/api/v1/pods?Access_Token=hunter2",
    "/api/v1/pods?%74oken=hunter2",
    "/api/v1/pods?a=b&id-token=hunter2&c=d",
    "/api/v1/pods?a=b;client_secret=hunter2",
    "/api/v1/pods?password=a?hunter2",
    "/api/v1/pods?next=/x?password=hunter2",
    "/api/v1/pods?x-amz-signature=hunter2",
    "/bramble/v1/join/abcdef.0123456789abcdef",
    `/bramble/v1/join?br1.${"a".repeat(64)}.abcdef.0123456789abcdef`,
    `/login/${JWT}`,
    `/api/v1/pods?x=${JWT}`,
  ])("from %s", async (path) => {
    await ask(path);
    await complete(path.slice(0, 7));
    clean();
  });

  test("from bodies that hold them, and their answers", async () => {
    const secret = { metadata: { name: "s" }, data: { k: btoa("hunter2") } };
    await api.create("/api/v1/namespaces/default/secrets", secret);
    await api.call("GET", "/api/v1/namespaces/default/secrets/s");
    await api.call("GET", "/api/v1/secrets");
    await api.create("/api/v1/namespaces/default/serviceaccounts", { metadata: { name: "robot" } });
    const path = "/api/v1/namespaces/default/serviceaccounts/robot/token";
    const { body } = await api.call("POST", path, { spec: {} });
    const reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    await api.call("POST", reviews, { spec: { token: body.status.token } });
    await api.call("POST", reviews, { spec: { token: JWT } });
    await complete(reviews);
    clean();
    expect(lines.join("")).not.toContain(body.status.token);
  });

  test("but other bodies are", async () => {
    const path = "/api/v1/namespaces/default/configmaps";
    await api.create(path, { metadata: { name: "m" }, data: { k: "v" } } as object);
    const { requestObject, responseObject } = await complete(path);
    expect(requestObject).toMatchObject({ data: { k: "v" } });
    expect(responseObject).toMatchObject({ data: { k: "v" } });
  });

  test("in time that grows with the path alone", async () => {
    const started = performance.now();
    for (const part of ["token", "eyJ", "eyJ.", "abcdef.", "?a", "&token", "%"]) {
      await ask(`/api/v1/pods?${part.repeat(60_000 / part.length)}`);
    }
    expect(performance.now() - started).toBeLessThan(1_000);
  });
});

describe("a log", () => {
  const EVIL = "x\n2026 INFO forged\r\u001b[2J\u009b2J\u2028\u202e\u0000";
  const CONTROL = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;

  test("of audits has one line for an event, whatever names are in it", async () => {
    const user = { name: EVIL, groups: [EVIL], extra: { [EVIL]: [EVIL] } };
    await api.call(
      "GET",
      `/api/v1/namespaces/default/pods/${encodeURIComponent(EVIL)}`,
      undefined,
      {
        user,
      },
    );
    await complete("/api/v1/namespaces/default/pods/");
    for (const line of lines) expect(CONTROL.test(line)).toBe(false);
    const event = JSON.parse(lines[0] ?? "") as Event;
    expect(event.user.username).toBe(EVIL);
  });

  test.each(["text", "json"] as const)(
    "of the program as %s has one line for a message",
    (format) => {
      const written: string[] = [];
      const log = createLog({
        ...{ level: "info", format, now: () => 0 },
        write: (line) => void written.push(line),
      });
      log.info(`a node ${EVIL}`, { node: EVIL, bare: "\u001b[2J", wide: "a\u202eb" });
      expect(written).toHaveLength(1);
      expect(CONTROL.test(written[0]?.slice(0, -1) ?? "")).toBe(false);
    },
  );
});
