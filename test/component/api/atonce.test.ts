/** Servers that start at once on one datastore make what every cluster has, and hinder nobody. */
import { expect, test } from "bun:test";
import { createCodec } from "#api/codec.ts";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { kinds } from "#resources/kinds.ts";
import { storeOver } from "#store/over.ts";
import { openSqliteStore } from "#store/sqlite.ts";
import type { Store, Write } from "#store/store.ts";
import { startApi } from "#test/support/api.ts";

const ROLES = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const BUCKET = "rbac.authorization.k8s.io/clusterroles/";

const openStore = (): Promise<Store> => {
  const codec = createCodec(kinds);
  return openSqliteStore({ path: ":memory:", codec, clock: realClock, log: silentLog });
};

/** A store in which somebody is always a moment faster, once for each object. */
function contended(store: Store, prefix: string): { store: Store; faster: Set<string> } {
  const faster = new Set<string>();
  const write = async (asked: Write) => {
    const { key, expect: revision } = asked;
    if (revision > 0 && key.startsWith(prefix) && !faster.has(key)) {
      faster.add(key);
      const object = JSON.parse((await store.get(key))?.value ?? "");
      object.metadata.annotations = { ...object.metadata.annotations, faster: "yes" };
      await store.write({ key, value: JSON.stringify(object), expect: revision });
    }
    return store.write(asked);
  };
  return { store: storeOver(store, { write }), faster };
}

test("a server whose default objects are changed meanwhile decides again, and starts", async () => {
  const inner = await openStore();
  const { store, faster } = contended(inner, BUCKET);
  const api = await startApi({ store });
  try {
    expect(faster).toContain(`${BUCKET}admin`);
    const { body } = await api.call("GET", `${ROLES}/admin`);
    expect(body.rules.length).toBeGreaterThan(5);
    expect(body.metadata.annotations.faster).toBe("yes");
  } finally {
    await api.close();
    await inner.close();
  }
});

test("what was switched off at the last moment is left as it is", async () => {
  const inner = await openStore();
  await (await startApi({ store: inner })).close();
  const key = `${BUCKET}system:node`;
  const change = async (edit: (role: { metadata: object }) => object) => {
    const item = await inner.get(key);
    const value = JSON.stringify(edit(JSON.parse(item?.value ?? "")));
    return inner.write({ key, value, expect: item?.revision ?? 0 });
  };
  await change((role) => ({ ...role, rules: [] }));
  const write = async (asked: Write) => {
    if (asked.key === key) {
      await change(({ metadata, ...role }) => {
        const annotations = { "rbac.authorization.kubernetes.io/autoupdate": "false" };
        return { ...role, metadata: { ...metadata, annotations } };
      });
    }
    return inner.write(asked);
  };
  const api = await startApi({ store: storeOver(inner, { write }) });
  try {
    expect((await api.call("GET", `${ROLES}/system:node`)).body.rules).toEqual([]);
  } finally {
    await api.close();
    await inner.close();
  }
});

test("two that start at once have the same roles and one Service in the end", async () => {
  for (let round = 0; round < 3; round++) {
    const store = await openStore();
    const start = (address: string) => {
      const advertise = { address, port: 6443, isShared: true };
      return startApi({ store, settings: { serviceCidrs: ["10.43.0.0/16"], advertise } });
    };
    const both = await Promise.all([start("192.0.2.1"), start("192.0.2.2")]);
    try {
      const names = ["admin", "edit", "view"];
      for (const api of both) {
        const found = names.map(async (name) => (await api.call("GET", `${ROLES}/${name}`)).body);
        for (const { rules } of await Promise.all(found)) expect(rules.length).toBeGreaterThan(5);
        const service = await api.call("GET", "/api/v1/namespaces/default/services/kubernetes");
        expect(service.body.spec.clusterIP).toBe("10.43.0.1");
      }
    } finally {
      for (const api of both) await api.close();
      await store.close();
    }
  }
});
