/** A token of the admin that was replaced is good for nothing, whoever took it along. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { realClock as clock } from "#base/clock.ts";
import { realRandom as random } from "#base/random.ts";
import { freePort } from "#test/support/instance.ts";
import { quietLog as log, type TempDir, tempDir } from "#test/support/store.ts";
import { openControlPlane } from "../../src/main/control.ts";
import { Ends } from "../../src/main/ends.ts";
import { rotateAdminToken } from "../../src/main/rotateadmin.ts";
import { Service } from "../../src/main/service.ts";
import { loadServerSettings, type ServerSettings } from "../../src/main/settings.ts";

const ends = new Ends();
let dir: TempDir;
let settings: ServerSettings;
let url: string;

beforeAll(async () => {
  dir = tempDir();
  const port = await freePort();
  url = `https://127.0.0.1:${port}`;
  settings = loadServerSettings({
    flags: { dataDir: join(dir.path, "data"), httpsPort: String(port) },
    env: {},
    file: undefined,
    filePath: "",
  });
  const service = new Service({ env: {}, clock, log });
  const around = { clock, random, log, signal: new AbortController().signal, service };
  await openControlPlane(settings, { nodeName: "s", address: "192.0.2.1" }, around, ends);
});
afterAll(async () => {
  await ends.all();
  dir.remove();
});

const tokenNow = () => readFileSync(join(settings.dataDir, "admin-token"), "utf8").trim();
const rotate = (env: Record<string, string> = { HOME: dir.path }) =>
  rotateAdminToken({ settings, env, clock, random, tell: () => undefined });

const ask = (path: string, token: string, init: RequestInit = {}) =>
  fetch(`${url}${path}`, {
    ...init,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    tls: { rejectUnauthorized: false },
  });

test("the old token is rejected everywhere, the new one is the admin's", async () => {
  const old = tokenNow();
  expect((await ask("/api/v1/namespaces", old)).status).toBe(200);
  await rotate();
  for (const path of ["/api", "/api/v1/namespaces", "/metrics", "/bramble/v1/tunnel"]) {
    expect([path, (await ask(path, old)).status]).toEqual([path, 401]);
  }
  const carried = Buffer.from(old).toString("base64url");
  const protocol = `base64url.bearer.authorization.k8s.io.${carried}`;
  const socket = await fetch(`${url}/api/v1/namespaces`, {
    headers: { "sec-websocket-protocol": protocol },
    tls: { rejectUnauthorized: false },
  });
  expect(socket.status).toBe(401);
  const review = JSON.stringify({ kind: "TokenReview", spec: { token: old } });
  const path = "/apis/authentication.k8s.io/v1/tokenreviews";
  const told = await ask(path, tokenNow(), { method: "POST", body: review });
  expect(((await told.json()) as { status: object }).status).toMatchObject({ user: {} });
});

test("a watch that was begun with the old token ends", async () => {
  const watch = await ask("/api/v1/namespaces?watch=true", tokenNow());
  const reader = watch.body?.getReader();
  expect((await reader?.read())?.done).toBe(false);
  await rotate();
  const rest = async (): Promise<string> => {
    while ((await reader?.read())?.done === false);
    return "ended";
  };
  expect(await rest().catch(() => "ended")).toBe("ended");
});

test("kubeconfigs of the server and of the user have the new token", async () => {
  const mine = join(dir.path, "mine");
  const other = "users:\n  - name: other\n    user:\n      token: of-another-cluster\n";
  const own = `  - name: bramble\n    user:\n      token: ${tokenNow()}\n`;
  writeFileSync(mine, `${other}${own}`);
  const old = tokenNow();
  await rotate({ HOME: dir.path, KUBECONFIG: mine });
  expect(readFileSync(mine, "utf8")).toBe(`${other}${own}`.replace(old, tokenNow()));
  expect(readFileSync(join(settings.dataDir, "kubeconfig"), "utf8")).toContain(tokenNow());
});

test("wrong tokens leave the admin's as it is, also when the file is empty", async () => {
  const token = tokenNow();
  writeFileSync(join(settings.dataDir, "admin-token"), "\n");
  for (const wrong of ["", " ", "x", "undefined"])
    expect((await ask("/api", wrong)).status).toBe(401);
  expect((await ask("/api", token)).status).toBe(200);
  writeFileSync(join(settings.dataDir, "admin-token"), `${token}\n`);
});
