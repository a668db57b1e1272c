/** The keys that servers share in etcd are no object: nobody reads, replaces or deletes them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { UserInfo } from "#api/core.ts";
import { realClock } from "#base/clock.ts";
import { realRandom as random } from "#base/random.ts";
import type { Store } from "#store/store.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";
import { RBAC, RBAC_GROUP } from "#test/support/rights.ts";
import { quietLog as log, type TempDir, tempDir } from "#test/support/store.ts";
import { openDatastore, takeSharedKeys } from "../../src/main/datastore.ts";
import { loadServerSettings } from "../../src/main/settings.ts";

const MAPS = "/api/v1/namespaces/kube-system/configmaps";
const NAME = "bramble-servers";
const AUTHORITY = "the authority of the cluster";
const around = { clock: realClock, random, log };
let dir: TempDir;
let etcd: EtcdCluster;
let store: Store;
let api: TestApi;

const settingsOf = (name: string, ...more: [string, string][]) =>
  loadServerSettings({
    flags: {
      dataDir: join(dir.path, name),
      datastore: `etcd=${etcd.urls.join(",")}`,
      ...Object.fromEntries(more),
    },
    env: {},
    file: undefined,
    filePath: "",
  });

async function holderOf(role: string): Promise<UserInfo> {
  await api.create(`${RBAC}/clusterrolebindings`, {
    metadata: { name: `one-${role}` },
    roleRef: { apiGroup: RBAC_GROUP, kind: "ClusterRole", name: role },
    subjects: [{ apiGroup: RBAC_GROUP, kind: "User", name: role }],
  } as object);
  return { name: role, groups: ["system:authenticated"] };
}

beforeAll(async () => {
  dir = tempDir();
  etcd = await startEtcd();
  const settings = settingsOf("first");
  mkdirSync(join(settings.dataDir, "pki"), { recursive: true });
  writeFileSync(join(settings.dataDir, "pki", "ca.crt"), AUTHORITY);
  const shared = await takeSharedKeys(settings, around);
  await shared.seal();
  shared.close();
  store = await openDatastore(settings, around);
  api = await startApi({ store });
});
afterAll(async () => {
  await api.close();
  await store.close();
  await etcd.stop();
  dir.remove();
});

test("the role `view` does not read the sealed keys", async () => {
  const user = await holderOf("view");
  expect((await api.call("GET", MAPS, undefined, { user })).code).toBe(200);
  const one = await api.call("GET", `${MAPS}/${NAME}`, undefined, { user });
  expect([one.code, one.text.includes("sealed")]).toEqual([404, false]);
  for (const path of [MAPS, "/api/v1/configmaps"]) {
    expect((await api.call("GET", path, undefined, { user })).text).not.toContain("sealed");
  }
});

test("the role `edit` does not delete or replace them: a further server finds them", async () => {
  const user = await holderOf("edit");
  const found = { metadata: { name: NAME }, data: { claimedAt: "2026-01-01T00:00:00Z" } };
  const codes = [
    (await api.call("PUT", `${MAPS}/${NAME}`, found, { user })).code,
    (await api.call("DELETE", `${MAPS}/${NAME}`, undefined, { user })).code,
    (await api.call("DELETE", MAPS, undefined, { user })).code,
    (await api.call("POST", MAPS, found, { user })).code,
  ];
  expect(codes).toEqual([404, 404, 200, 409]);
  const token = readFileSync(join(dir.path, "first", "server-token"), "utf8").trim();
  const settings = settingsOf("second", ["serverToken", token]);
  mkdirSync(settings.dataDir);
  (await takeSharedKeys(settings, around)).close();
  expect(readFileSync(join(settings.dataDir, "pki", "ca.crt"), "utf8")).toBe(AUTHORITY);
});
