import { afterEach, beforeEach, expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { certificatePath, dueMs, keepCertificate, keyPath } from "#agents/join/certificate.ts";
import { limits } from "#base/limits.ts";
import { silentLog } from "#base/log.ts";
import { issueCertificate, readRequest } from "#base/x509.ts";
import { certificateSigningRequests } from "#resources/kinds/certificatesigningrequest.ts";
import { fakeClock } from "#test/support/clock.ts";
import { FakeApi } from "#test/support/fakeapi.ts";
import { seededRandom } from "#test/support/random.ts";

const HOUR_MS = 3_600_000;
const ca = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const own = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "certificate-"));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const common = {
  signingKey: ca,
  serial: new Uint8Array(16).fill(7),
  notBeforeMs: 0,
  uses: ["client auth" as const],
};
const spki = createPublicKey(own).export({ type: "spki", format: "der" });
const issued = (nowMs: number): string =>
  issueCertificate({
    ...common,
    subject: { commonName: "system:node:n1" },
    altNames: { dns: [], ips: [] },
    publicKey: spki,
    notAfterMs: nowMs + 24 * HOUR_MS,
  });

test("one is due when two thirds of its life are over, or at once when it is not ours", () => {
  const now = Date.UTC(2026, 5, 1);
  expect(dueMs(undefined, pem(own), now)).toBe(0);
  expect(dueMs("nonsense", pem(own), now)).toBe(0);
  expect(dueMs(issued(now), pem(own), now)).toBe(16 * HOUR_MS);
  expect(dueMs(issued(now), pem(own), now + 20 * HOUR_MS)).toBe(0);
  expect(dueMs(issued(now), pem(ca), now)).toBe(0);
  // Made when the clock was ahead.
  expect(dueMs(issued(now), pem(own), now - HOUR_MS)).toBe(0);
});

test("it is asked for with the node's key, and again before its end", async () => {
  const clock = fakeClock();
  const api = new FakeApi();
  const stop = new AbortController();
  const options = { dir, nodeName: "n1", keyPem: pem(own), client: api.client, clock };
  const random = seededRandom(1);
  void keepCertificate({ ...options, random, log: silentLog, signal: stop.signal });
  const answer = async (): Promise<string> => {
    await clock.settle();
    const { items } = await api.client.list(certificateSigningRequests);
    const csr = items.at(-1);
    if (csr === undefined) throw new Error("nothing was asked");
    const request = Buffer.from(csr.spec?.request ?? "", "base64").toString();
    expect(readRequest(request).subject).toEqual({
      commonName: "system:node:n1",
      organizations: ["system:nodes"],
    });
    const certificate = Buffer.from(issued(clock.now())).toString("base64");
    await api.client.update(certificateSigningRequests, { ...csr, status: { certificate } });
    await clock.advance(limits.certificateLookMs);
    return readFileSync(certificatePath(dir), "utf8");
  };
  const first = await answer();
  expect(statSync(keyPath(dir)).mode & 0o777).toBe(0o600);
  await clock.advance(15 * HOUR_MS);
  expect((await api.client.list(certificateSigningRequests)).items).toHaveLength(1);
  await clock.advance(HOUR_MS + limits.certificateCheckMs);
  expect(await answer()).not.toBe(first);
  stop.abort();
  await clock.settle();
  expect(existsSync(certificatePath(dir))).toBe(true);
});
