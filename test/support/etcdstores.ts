/** What several servers hold of one etcd, for a test file: the etcd starts before its tests. */
import { afterAll, afterEach, beforeAll } from "bun:test";
import { must } from "#base/assert.ts";
import { realClock } from "#base/clock.ts";
import { openEtcdStore } from "#store/etcd.ts";
import type { Codec, Store } from "#store/store.ts";
import { startApi, type TestApi } from "#test/support/api.ts";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";
import { quietLog } from "#test/support/store.ts";
import { testCodec } from "#test/support/suites/store.ts";

export interface EtcdStores {
  /** Keys of no other test begin with it. */
  prefix(): string;
  /** Closed after the test. */
  open(prefix: string, codec?: Codec): Promise<Store>;
  serve(store: Store): Promise<TestApi>;
}

export function etcdStores(): EtcdStores {
  let etcd: EtcdCluster | undefined;
  const stores: Store[] = [];
  const apis: TestApi[] = [];
  let count = 0;
  beforeAll(async () => {
    etcd = await startEtcd();
  });
  afterAll(() => etcd?.stop());
  afterEach(async () => {
    for (const api of apis.splice(0)) await api.close();
    for (const store of stores.splice(0)) await store.close();
  });
  return {
    prefix: () => `/t${count++}/`,
    async open(prefix, codec = testCodec) {
      const { urls } = must(etcd, "etcd runs");
      const store = await openEtcdStore({ codec, clock: realClock, log: quietLog, urls, prefix });
      stores.push(store);
      return store;
    },
    async serve(store) {
      const api = await startApi({ store });
      apis.push(api);
      return api;
    },
  };
}
