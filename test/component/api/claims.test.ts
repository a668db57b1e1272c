/** Services that two servers on one etcd make at once: no address and no node port twice. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createCodec } from "#api/codec.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { kinds } from "#resources/kinds.ts";
import { openEtcdStore } from "#store/etcd.ts";
import type { Store } from "#store/store.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";

const COUNT = 200;
const SERVICES = "/api/v1/namespaces/default/services";
/** Few enough that two servers which choose for themselves choose the same. */
const settings = { serviceCidrs: ["10.43.0.0/23"], nodePorts: { first: 30_000, last: 30_499 } };

let etcd: EtcdCluster;
const stores: Store[] = [];
const apis: TestApi[] = [];

beforeAll(async () => {
  etcd = await startEtcd();
  const base = { codec: createCodec(kinds), clock: realClock, log: silentLog };
  for (let i = 0; i < 2; i++) {
    const store = await openEtcdStore({ ...base, urls: etcd.urls, prefix: "/bramble/" });
    stores.push(store);
    apis.push(await startApi({ store, settings }));
  }
});
afterAll(async () => {
  for (const api of apis) await api.close();
  for (const store of stores) await store.close();
  await etcd.stop();
});

const service = (name: string, spec: object = {}) => ({
  metadata: { name },
  spec: { type: "NodePort", ports: [{ port: 80 }], ...spec },
});

interface Found {
  spec: { clusterIP: string; ports: Array<{ nodePort: number }> };
}

test(`${COUNT} Services through both have addresses and ports of their own`, async () => {
  const names = Array.from({ length: COUNT }, (_, i) => `svc-${i}`);
  const made = names.map((name, i) => apis[i % 2]?.create(SERVICES, service(name)));
  await Promise.all(made);
  const { body } = (await apis[0]?.call("GET", SERVICES)) ?? {};
  const items: Found[] = body.items;
  expect(items.length).toBe(COUNT);
  expect(new Set(items.map(({ spec }) => spec.clusterIP)).size).toBe(COUNT);
  expect(new Set(items.map(({ spec }) => spec.ports[0]?.nodePort)).size).toBe(COUNT);
}, 360_000);

test("an address that was asked for through both is given once, the other hears why", async () => {
  // Of the part that is given out last by itself.
  const asked = { clusterIP: "10.43.0.20" };
  const answers = await Promise.all(
    apis.map((api, i) => api.call("POST", SERVICES, service(`asked-${i}`, asked))),
  );
  expect(answers.map(({ code }) => code).sort()).toEqual([201, 422]);
  const refused = answers.find(({ code }) => code === 422);
  expect(refused?.body.message).toContain("provided IP is already allocated");
  const name = answers[0]?.code === 201 ? "asked-0" : "asked-1";
  for (const [one, other] of [apis, apis.toReversed()]) {
    expect((await one?.call("DELETE", `${SERVICES}/${name}`))?.code).toBe(200);
    const again = await other?.call("POST", SERVICES, service(name, asked));
    expect(again?.code).toBe(201);
  }
});

test("a change to NodePort through both gives two ports", async () => {
  for (const name of ["p0", "p1"]) {
    await apis[0]?.create(SERVICES, service(name, { type: "ClusterIP" }));
  }
  const headers = { "content-type": "application/merge-patch+json" };
  const patch = { spec: { type: "NodePort" } };
  const answers = await Promise.all(
    apis.map((api, i) => api.call("PATCH", `${SERVICES}/p${i}`, patch, { headers })),
  );
  const ports = answers.map(({ body }) => body.spec.ports[0].nodePort);
  expect(new Set(ports).size).toBe(2);
});
