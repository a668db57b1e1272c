/** The cluster's keys on a real disk and in a real TLS handshake. */
import { afterEach, expect, test } from "bun:test";
import { createPrivateKey, generateKeyPairSync, sign, verify, X509Certificate } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openPki, type Pki, type PkiOptions } from "#api/pki.ts";
import { OperatorError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { issueCertificate, requestCertificate } from "#base/x509.ts";
import { fakeClock } from "#test/support/clock.ts";
import { seededRandom } from "#test/support/random.ts";
import { tempDir } from "#test/support/store.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
let cleanUps: Array<() => void> = [];
afterEach(() => {
  for (const cleanUp of cleanUps) cleanUp();
  cleanUps = [];
});

function options(change: Partial<PkiOptions> = {}): PkiOptions {
  const dir = tempDir();
  cleanUps.push(() => dir.remove());
  return {
    dir: join(dir.path, "pki"),
    clock: fakeClock(),
    random: seededRandom(7),
    log: silentLog,
    names: ["bramble.local"],
    ips: ["192.0.2.7"],
    serviceCidrs: ["10.43.0.0/16", "fd43::/112"],
    ...change,
  };
}

async function opened(settings: PkiOptions): Promise<Pki> {
  const pki = await openPki(settings);
  cleanUps.push(() => pki.close());
  return pki;
}

test("the first start makes the keys, private to the server; the next ones keep them", async () => {
  const settings = options();
  const pki = await opened(settings);
  expect(statSync(settings.dir).mode & 0o777).toBe(0o700);
  const files = readdirSync(settings.dir).sort();
  expect(files).toEqual(["ca.crt", "ca.key", "server.crt", "server.key", "service-account.key"]);
  for (const file of files) expect(statSync(join(settings.dir, file)).mode & 0o777).toBe(0o600);
  const again = await opened(settings);
  expect(again.caPem).toBe(pki.caPem);
  expect(again.server()).toEqual(pki.server());
  expect(again.serviceAccountKey).toEqual(pki.serviceAccountKey);
  expect(again.caFingerprint()).toBe(pki.caFingerprint());
  expect(pki.caFingerprint()).toMatch(/^[0-9a-f]{64}$/);
});

test("the server's certificate has every name that clients use, from 1970 on", async () => {
  const pki = await opened(options());
  const certificate = new X509Certificate(pki.server().certPem);
  const names = ["bramble.local", "localhost", "kubernetes.default.svc.cluster.local"];
  for (const name of [...names, "kubernetes", "kubernetes.default", "kubernetes.default.svc"]) {
    expect(certificate.checkHost(name)).toBe(name);
  }
  for (const address of ["127.0.0.1", "::1", "192.0.2.7", "10.43.0.1", "fd43::1"]) {
    expect(certificate.checkIP(address)).toBe(address);
  }
});

test("whatever the clock shows, the CA and the server's certificate have no end", async () => {
  for (const startMs of [0, Date.UTC(2026, 6, 1), Date.UTC(2070, 0, 1)]) {
    const pki = await opened(options({ clock: fakeClock(startMs) }));
    for (const pem of [pki.caPem, pki.server().certPem]) {
      const { validFrom, validTo } = new X509Certificate(pem);
      expect(Date.parse(validFrom)).toBe(0);
      expect(new Date(validTo).toISOString()).toBe("9999-12-31T23:59:59.000Z");
    }
  }
});

test("a certificate for new addresses that a full disk does not take serves on", async () => {
  const settings = options();
  const first = await opened(settings);
  // As on a full disk, no file can be replaced.
  mkdirSync(join(settings.dir, "server.key.new"));
  const moved = { ...settings, ips: ["192.0.2.8"] };
  const pki = await opened(moved);
  expect(new X509Certificate(pki.server().certPem).checkIP("192.0.2.8")).toBe("192.0.2.8");
  expect((await opened(settings)).server()).toEqual(first.server());
  rmSync(join(settings.dir, "server.key.new"), { recursive: true });
  const kept = (await opened(moved)).server();
  expect((await opened(moved)).server()).toEqual(kept);
});

test("clients that know the CA trust the server, and no other ones do", async () => {
  const pki = await opened(options());
  const { certPem, keyPem } = pki.server();
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { cert: certPem, key: keyPem },
    fetch: () => new Response("ok"),
  });
  try {
    const url = `https://127.0.0.1:${server.port}/`;
    const answer = await fetch(url, { tls: { ca: pki.caPem } });
    expect(await answer.text()).toBe("ok");
    const stranger = await opened(options());
    const refused = await fetch(url, { tls: { ca: stranger.caPem } }).catch((error) => error);
    expect(refused).toBeInstanceOf(Error);
  } finally {
    await server.stop(true);
  }
});

/** The names in a certificate, so that another one can be made that lacks none. */
function namesOf(pem: string): { dns: string[]; ips: string[] } {
  const names = new X509Certificate(pem).subjectAltName ?? "";
  const all = (prefix: RegExp) => [...names.matchAll(prefix)].map(([, name = ""]) => name);
  return { dns: all(/DNS:([^,]+)/g), ips: all(/IP Address:([^,]+)/g) };
}

test("a certificate with an end, as earlier versions made them, is made anew", async () => {
  const settings = options();
  const pki = await opened(settings);
  const path = join(settings.dir, "server.crt");
  const { publicKey } = new X509Certificate(pki.server().certPem);
  const dated = issueCertificate({
    subject: { commonName: "bramble-server" },
    altNames: namesOf(pki.server().certPem),
    publicKey: publicKey.export({ type: "spki", format: "der" }),
    issuerPem: pki.caPem,
    signingKey: createPrivateKey(readFileSync(join(settings.dir, "ca.key"), "utf8")),
    serial: new Uint8Array(16).fill(7),
    notBeforeMs: 0,
    notAfterMs: settings.clock.now() + 365 * DAY_MS,
    uses: ["server auth"],
  });
  writeFileSync(path, dated);
  const again = await opened(settings);
  expect(again.server().certPem).not.toBe(dated);
  const certificate = new X509Certificate(again.server().certPem);
  expect(certificate.validTo).toContain("9999");
  expect(certificate.verify(new X509Certificate(pki.caPem).publicKey)).toBe(true);
  expect(again.caPem).toBe(pki.caPem);
});

test("who asked is told of a new certificate for another address", async () => {
  const pki = await opened(options());
  const renewed: string[] = [];
  const cancel = pki.onRenewed((pair) => renewed.push(pair.certPem));
  pki.setAddresses(["192.0.2.7"]);
  expect(renewed).toEqual([]);
  pki.setAddresses(["192.0.2.8"]);
  expect(renewed).toEqual([pki.server().certPem]);
  cancel();
  pki.setAddresses(["192.0.2.9"]);
  expect(renewed).toHaveLength(1);
});

test("a new name or a damaged pair gets a new certificate under the same CA", async () => {
  const settings = options();
  const pki = await opened(settings);
  const more = await opened({ ...settings, names: ["bramble.local", "new.example"] });
  expect(new X509Certificate(more.server().certPem).checkHost("new.example")).toBe("new.example");
  expect(more.caPem).toBe(pki.caPem);
  writeFileSync(join(settings.dir, "server.crt"), "garbage");
  const mended = await opened(settings);
  expect(new X509Certificate(mended.server().certPem).checkHost("bramble.local")).toBeDefined();
  rmSync(join(settings.dir, "server.key"));
  const whole = await opened(settings);
  expect(whole.server().keyPem).not.toBe(mended.server().keyPem);
});

test("a lost or damaged CA key is the operator's to mend: nothing is made over it", async () => {
  const settings = options();
  await opened(settings);
  const { caCert, caKey } = { caCert: "ca.crt", caKey: "ca.key" };
  writeFileSync(join(settings.dir, caKey), "garbage");
  await expect(openPki(settings)).rejects.toThrow(OperatorError);
  rmSync(join(settings.dir, caKey));
  await expect(openPki(settings)).rejects.toThrow("ca.key is missing");
  expect(readdirSync(settings.dir)).not.toContain(caKey);
  const other = await opened(options());
  writeFileSync(join(settings.dir, caKey), generatedKey());
  writeFileSync(join(settings.dir, caCert), other.caPem);
  await expect(openPki(settings)).rejects.toThrow("does not belong");
});

function generatedKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

test("a request is signed with its subject and names, for the uses that were granted", async () => {
  const clock = fakeClock();
  const pki = await opened(options({ clock }));
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const csr = requestCertificate({
    subject: { commonName: "system:node:pi", organizations: ["system:nodes"] },
    altNames: { dns: ["pi"], ips: ["192.0.2.9"] },
    key: privateKey,
  });
  const pem = pki.signCertificate(csr, { usages: ["client auth"], days: 30 });
  const certificate = new X509Certificate(pem);
  expect(certificate.subject).toBe("O=system:nodes\nCN=system:node:pi");
  expect(certificate.checkIP("192.0.2.9")).toBe("192.0.2.9");
  expect(certificate.checkPrivateKey(privateKey)).toBe(true);
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect(Date.parse(certificate.validTo)).toBe(clock.now() + 30 * DAY_MS);
  expect(certificate.checkIssued(new X509Certificate(pki.caPem))).toBe(true);
  expect(() => pki.signCertificate("nonsense", { usages: ["client auth"], days: 1 })).toThrow();
  expect(() => pki.signCertificate(csr, { usages: [], days: 1 })).toThrow("needs a use");
});

test("the service account key signs what its public half verifies", async () => {
  const { serviceAccountKey } = await opened(options());
  const text = Buffer.from("token");
  const signature = sign("sha256", text, serviceAccountKey.privatePem);
  expect(verify("sha256", text, serviceAccountKey.publicPem, signature)).toBe(true);
});
