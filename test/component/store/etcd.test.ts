/** The shared suite on a real etcd; each store has a prefix of its own in it. */
import { afterAll, beforeAll } from "bun:test";
import { realClock } from "#base/clock.ts";
import { EtcdKeys } from "#store/etcd/keys.ts";
import { Members } from "#store/etcd/members.ts";
import { openEtcdStore } from "#store/etcd.ts";
import { type EtcdCluster, startEtcd } from "#test/support/etcd.ts";
import { quietLog } from "#test/support/store.ts";
import {
  type OpenLimits,
  type StoreUnderTest,
  storeSuite,
  testCodec,
} from "#test/support/suites/store.ts";

let etcd: EtcdCluster;
let count = 0;

beforeAll(async () => {
  etcd = await startEtcd();
});
afterAll(() => etcd.stop());

/** Of a cluster that saw more revisions elsewhere than this etcd has. */
async function comeFromElsewhere(prefix: string): Promise<void> {
  const members = new Members({ urls: etcd.urls, clock: realClock, log: quietLog });
  const words = { other: "a file", since: "2026-01-01T00:00:00Z", migration: 1 };
  await new EtcdKeys(members, prefix).setPlace({ state: "ready", offset: 5e9, ...words }, 0);
  members.close();
}

async function underTest(limits: OpenLimits, prefix: string): Promise<StoreUnderTest> {
  const base = { codec: testCodec, clock: realClock, log: quietLog };
  const open = () => openEtcdStore({ ...base, urls: etcd.urls, prefix, limits });
  let store = await open();
  return {
    store,
    reopen: async () => {
      await store.close();
      store = await open();
      return store;
    },
    cleanUp: () => store.close(),
  };
}

storeSuite("etcd", (limits = {}) => underTest(limits, `/t${count++}/`));

storeSuite("etcd after a migration", async (limits = {}) => {
  const prefix = `/t${count++}/`;
  await comeFromElsewhere(prefix);
  return underTest(limits, prefix);
});
