/** A server that missed changes, for etcd compacted them, goes by what is there all the same. */
import { afterEach, expect, test } from "bun:test";
import { createCodec } from "#api/codec.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { kinds } from "#resources/kinds.ts";
import { storeOver } from "#store/over.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import { GoneError, type Store, type Watch, type WatchOptions } from "#store/store.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { turn } from "#test/support/suites/store.ts";

const RBAC = "/apis/rbac.authorization.k8s.io/v1";
const SERVICES = "/api/v1/namespaces/default/services";
const bob = { name: "bob", groups: ["system:authenticated"] };
const settings = { serviceCidrs: ["10.43.0.0/24"] };

let inner: Store;
let apis: TestApi[] = [];
afterEach(async () => {
  for (const api of apis) await api.close();
  apis = [];
  await inner.close();
});

/** Its watches see nothing of what happens in `while`, and then hear that they lost their place. */
function blindable(store: Store) {
  const open = new Map<Watch, WatchOptions>();
  const watch = (options: WatchOptions): Watch => {
    const one = store.watch(options);
    open.set(one, options);
    return { close: () => one.close(), behind: () => one.behind() };
  };
  const blind = async (during: () => Promise<unknown>): Promise<void> => {
    const all = [...open];
    open.clear();
    for (const [each] of all) each.close();
    await during();
    for (const [, { onClosed }] of all) onClosed(new GoneError("changes were missed"));
    await turn();
  };
  return { store: storeOver(store, { watch }), blind };
}

async function twoServers() {
  const codec = createCodec(kinds);
  inner = await openSqliteStore({ path: ":memory:", codec, clock: realClock, log: silentLog });
  const { store, blind } = blindable(inner);
  const other = await startApi({ store: inner, settings });
  const late = await startApi({ store, settings });
  apis = [other, late];
  return { other, late, blind };
}

test("what was given or taken away meanwhile counts", async () => {
  const { other, late, blind } = await twoServers();
  const binding = {
    metadata: { name: "bob" },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "bob" }],
  };
  const mayList = async (): Promise<number> =>
    (await late.call("GET", SERVICES, undefined, { user: bob })).code;
  expect(await mayList()).toBe(403);
  await blind(() => other.create(`${RBAC}/clusterrolebindings`, binding));
  expect(await mayList()).toBe(200);
  await blind(() => other.call("DELETE", `${RBAC}/clusterrolebindings/bob`));
  expect(await mayList()).toBe(403);
  await other.create(`${RBAC}/clusterrolebindings`, binding);
  await turn();
  expect(await mayList()).toBe(200);
});

test("addresses that were let go can be had, those that were taken cannot", async () => {
  const { other, late, blind } = await twoServers();
  const service = (name: string, clusterIP: string) => ({
    metadata: { name },
    spec: { clusterIP, ports: [{ port: 80 }] },
  });
  await other.create(SERVICES, service("old", "10.43.0.9"));
  await blind(async () => {
    await other.call("DELETE", `${SERVICES}/old`);
    await other.create(SERVICES, service("new", "10.43.0.8"));
  });
  const taken = await late.call("POST", SERVICES, service("taken", "10.43.0.8"));
  expect(taken.code).toBe(422);
  const free = await late.call("POST", SERVICES, service("free", "10.43.0.9"));
  expect(free.code).toBe(201);
});
