/** A backup of 10,000 objects while the server is written to, and a server made of it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";
import { eventually, freePort, type Instance, startInstance } from "#test/support/instance.ts";
import { BRAMBLE } from "#test/support/lab.ts";

const OBJECTS = 10_000;
/** Two seconds each on a quiet machine (README); here others may hold them up. */
const BACKUP_MS_MAX = 6_000;
const RESTORE_MS_MAX = 6_000;
const AT_ONCE = 64;
let instance: Instance;
let token = "";
let restored: Bun.Subprocess | undefined;

beforeAll(async () => {
  instance = await startInstance({ name: "backup", flags: ["--no-agent"] });
  token = tokenOf(instance.kubeconfig);
  await create("filled", OBJECTS);
}, 360_000);

afterAll(async () => {
  restored?.kill();
  await restored?.exited;
  await instance?.close();
});

function tokenOf(kubeconfig: string): string {
  const config = parse(readFileSync(kubeconfig, "utf8")) as {
    users: Array<{ user: { token: string } }>;
  };
  return config.users[0]?.user.token ?? "";
}

function ask(url: string, path: string, body?: object): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    tls: { rejectUnauthorized: false },
  });
}

const CONFIG_MAPS = "/api/v1/namespaces/default/configmaps";

async function create(prefix: string, count: number): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count) {
      const metadata = { name: `${prefix}-${next++}` };
      const body = { metadata, data: { text: "x".repeat(500) } };
      expect((await ask(instance.url, CONFIG_MAPS, body)).status).toBe(201);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

interface Listed {
  metadata: { resourceVersion: string };
  items: Array<{ metadata: { name: string; uid: string } }>;
}

async function listed(url: string): Promise<Listed> {
  return (await (await ask(url, CONFIG_MAPS)).json()) as Listed;
}

/** On a loaded machine the quickest of some tells how long it takes. */
const TRIES = 4;

/** A server of a backup, once it is ready; what it took from the file to there. */
async function restoredFrom(file: string, name: string, more: readonly string[]) {
  const dataDir = join(instance.dir, name);
  const port = await freePort();
  const url = `https://127.0.0.1:${port}`;
  const began = performance.now();
  const back = ["--data-dir", dataDir, ...more];
  expect(await instance.bramble(["restore", file, ...back])).toMatchObject({ exitCode: 0 });
  const argv = ["server", ...instance.flags, "--data-dir", dataDir, "--https-port", String(port)];
  restored = Bun.spawn([BRAMBLE, ...argv, "--no-agent", "--disable", "discovery"], {
    stdout: "ignore",
    stderr: Bun.file(join(instance.dir, `${name}.log`)),
  });
  await eventually("the restored server is ready", 60_000, async () => {
    return (await fetch(`${url}/readyz`, { tls: { rejectUnauthorized: false } })).ok;
  });
  return { url, ms: performance.now() - began };
}

test("a backup under load holds all from before it, and a server of it is ready", async () => {
  const secret = ["--password-file", join(instance.dir, "password")];
  writeFileSync(join(instance.dir, "password"), "correct horse\n");
  const before = await listed(instance.url);
  let file = "";
  let backupMs = Number.POSITIVE_INFINITY;
  for (let at = 0; at < TRIES && backupMs >= BACKUP_MS_MAX; at++) {
    file = join(instance.dir, `all-${at}.backup`);
    const load = create(`load-${at}`, 2_000);
    const started = performance.now();
    const flags = ["--data-dir", instance.dataDir, ...secret];
    const made = await instance.bramble(["backup", file, ...flags]);
    backupMs = performance.now() - started;
    await load;
    expect(made).toMatchObject({ exitCode: 0 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
  }
  expect(readdirSync(instance.dataDir).filter((name) => name.startsWith("backup-"))).toEqual([]);
  const after = await listed(instance.url);

  let { url, ms: restoreMs } = await restoredFrom(file, "restored-0", secret);
  for (let at = 1; at < TRIES && restoreMs >= RESTORE_MS_MAX; at++) {
    restored?.kill();
    await restored?.exited;
    ({ url, ms: restoreMs } = await restoredFrom(file, `restored-${at}`, secret));
  }
  console.log(`backup ${Math.round(backupMs)} ms, restored to ready ${Math.round(restoreMs)} ms`);
  // The same admin's token is good, and every object is the same one.
  const now = await listed(url);
  const uids = new Set(now.items.map(({ metadata }) => metadata.uid));
  expect(before.items.filter(({ metadata }) => !uids.has(metadata.uid))).toEqual([]);
  expect(Number(now.metadata.resourceVersion)).toBeGreaterThan(
    Number(after.metadata.resourceVersion),
  );
  expect(backupMs).toBeLessThan(BACKUP_MS_MAX);
  expect(restoreMs).toBeLessThan(RESTORE_MS_MAX);
}, 180_000);

test("a backup without a password makes a server, whose Secrets are the same", async () => {
  const secrets = "/api/v1/namespaces/default/secrets";
  const body = { metadata: { name: "kept" }, data: { word: btoa("as it was") } };
  expect((await ask(instance.url, secrets, body)).status).toBe(201);
  const file = join(instance.dir, "plain.backup");
  const made = await instance.bramble(["backup", file, "--data-dir", instance.dataDir]);
  expect(made).toMatchObject({ exitCode: 0 });
  expect(statSync(file).mode & 0o777).toBe(0o600);
  restored?.kill();
  await restored?.exited;
  const { url } = await restoredFrom(file, "unsealed", []);
  const found = await (await ask(url, `${secrets}/kept`)).json();
  expect(found).toMatchObject({ data: body.data });
}, 120_000);

test("damage, another password and a cluster that is there are refused in one line", async () => {
  const file = join(instance.dir, "small.backup");
  const password = join(instance.dir, "password");
  const flags = ["--data-dir", instance.dataDir, "--password-file", password];
  await instance.bramble(["backup", file, ...flags]);
  const into = (dir: string, ...more: string[]) =>
    instance.bramble(["restore", file, "--data-dir", join(instance.dir, dir), ...more]);
  expect((await into("refused")).stderr).toContain("this backup is encrypted");
  const wrong = join(instance.dir, "wrong");
  writeFileSync(wrong, "another");
  expect((await into("refused", "--password-file", wrong)).stderr).toContain("password is not");
  const held = await into("data", "--password-file", password);
  expect(held.stderr).toContain("bramble: ");
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(file, bytes);
  expect((await into("refused", "--password-file", password)).stderr).toContain("damaged");
  expect(existsSync(join(instance.dir, "refused", "state.db"))).toBe(false);
});
