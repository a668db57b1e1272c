/** A real etcd that asks its clients for certificates. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { realClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { issueCertificate, type KeyUse } from "#base/x509.ts";
import { openEtcdStore } from "#store/etcd.ts";
import { type EtcdCluster, type EtcdPems, startEtcd } from "#test/support/etcd.ts";
import { put, testCodec } from "#test/support/suites/store.ts";

const newKey = () => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

function makePems(): EtcdPems {
  const [authority, member] = [newKey(), newKey()];
  const issue = (name: string, key: typeof member, uses: readonly KeyUse[], issuerPem?: string) =>
    issueCertificate({
      subject: { commonName: name },
      altNames: { dns: ["localhost"], ips: ["127.0.0.1"] },
      publicKey: createPublicKey(key).export({ type: "spki", format: "der" }),
      signingKey: authority,
      serial: new Uint8Array([1, ...randomBytes(15)]),
      notBeforeMs: 0,
      notAfterMs: Date.now() + 3_600_000,
      uses,
      ...(issuerPem !== undefined && { issuerPem }),
    });
  const ca = issue("ca", authority, []);
  const cert = issue("member", member, ["server auth", "client auth"], ca);
  return { ca, cert, key: member.export({ type: "pkcs8", format: "pem" }).toString() };
}

const tls = makePems();
let etcd: EtcdCluster;

beforeAll(async () => {
  etcd = await startEtcd({ tls });
});

afterAll(() => etcd?.stop());

test("who shows a certificate of its authority reads and writes", async () => {
  const parts = { codec: testCodec, clock: realClock, log: silentLog };
  const store = await openEtcdStore({ ...parts, urls: etcd.urls, prefix: "/tls/", tls });
  const { revision } = await store.write(put("core/pods/a", "1"));
  expect(await store.get("core/pods/a")).toMatchObject({ revision });
  await store.close();
});
