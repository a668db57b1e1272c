/** Our DER against the runtime's own reader of certificates, which is not ours. */
import { expect, test } from "bun:test";
import { createPublicKey, generateKeyPairSync, X509Certificate } from "node:crypto";
import fc from "fast-check";
import { der, fromPem, readDer, toPem } from "#base/der.ts";
import {
  addressBytes,
  type CertificateOptions,
  issueCertificate,
  readRequest,
  requestCertificate,
} from "#base/x509.ts";
import { tries } from "#test/support/property.ts";

const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const spki = (of = key) => createPublicKey(of).export({ type: "spki", format: "der" });
const serial = Uint8Array.from({ length: 16 }, (_, i) => i + 0x41);

/** Made by openssl. */
const foreign = {
  "req-rsa": `-----BEGIN CERTIFICATE REQUEST-----
MIICYzCCAUsCAQAwHjEKMAgGA1UECgwBbzEQMA4GA1UEAwwHcmVxLXJzYTCCASIw
DQYJKoZIhvcNAQEBBQADggEPADCCAQoCggEBAMqnFl+/RtdQ6joJzaIytpRsJ2Ld
OQyPyQPdHULxsKz7eA3jSjtrsk9pnsTXsHz4jO+asEd27EqO7fQx9XHlEvmyIhWF
YpFv+/RlAKvuk2Ex+K1C6aEHeW2+MVYDXGfUHKsqkITAlWIpeRZt16RhvNTSMRxI
w535A7knbL2P8XIleqyeg1dAy91eGkJPCWnNW+3c9OlS78z0TUWiwyqWstoiJIsi
eNdf15pq8tMQ8cJJBsvvMGFPBfnmgfFY6O2hn5F6usooWdbZ1G9qEneXQSeetNOM
urRAy3CfcABoP83gr3ROfDf7zBF/iBqaifR+08gFQG5fBgcaXYMhqn8/i08CAwEA
AaAAMA0GCSqGSIb3DQEBCwUAA4IBAQAoQOJ51W5FobPs7ldT3sN+UgDxtClBMd8N
pHdM+8dIe/rDO9oZGVPZCpC3ug020/wrbStvymxA1mw2lQqlBpNUq9YAPA3hyLtz
LL2fib01pOxj6rvgezZfkymEe8ZehyABTvUdFbKRCVZ84cWw0FzGK6OGl7P/MIeQ
N7ApobWAPxFcNGR4ZePWH2+tCiC5+XFMIytSFnHziaJaVPXssNgaYCmb/6+opL9j
J9jEd+IiR/Op39K/9qUlx6naH3xCL/GBitDQzn8otJ806+fUdDUYge+yyP0sW+He
Mt4MiGr6ChL7DlHTtDpiPZq0iN2qtl3QQj+wjkQ7Wj8WBezRxAIo
-----END CERTIFICATE REQUEST-----
`,
  "req-p384": `-----BEGIN CERTIFICATE REQUEST-----
MIIBFjCBngIBADAfMQowCAYDVQQKDAFvMREwDwYDVQQDDAhyZXEtcDM4NDB2MBAG
ByqGSM49AgEGBSuBBAAiA2IABP40EG4AX4bwUl72mx6H0B5Kwsps9ez6vS9N0MrP
6/rWIPOUlmVCL9EpI3MRO/5K56dKI2ApXRM8X/Kb3pn7dVQa9WFScOGEAs90dKwO
COcWfY053vxbwMkYb0e5jH3rIaAAMAoGCCqGSM49BAMDA2cAMGQCMC3Lrb9ViOOs
BMLpQm80O3CK8DnO8ka5fcDz8r343QSYpejcfL6pHyOZ3QHAGMHlSQIwF6A6/GRE
fpaXSmEwyX4HNQaZYHatmTbLseEXMkxlMjNPBbu+f51SiECgPps6DUpf
-----END CERTIFICATE REQUEST-----
`,
  "req-ed25519": `-----BEGIN CERTIFICATE REQUEST-----
MIGhMFUCAQAwIjEKMAgGA1UECgwBbzEUMBIGA1UEAwwLcmVxLWVkMjU1MTkwKjAF
BgMrZXADIQBcWFgmR3yKIGyn/jYe83MfucywhiFRPWhcKvi1rlplpaAAMAUGAytl
cANBANQzKGzElN3/3VzaOUg52qxxwTNsPN6ZONHGbhcq8I8b2bfW/GeX3hc25kNM
5KDv/38PW29VWv3qgqQnvxZnuwQ=
-----END CERTIFICATE REQUEST-----
`,
};

function caOptions(): CertificateOptions {
  return {
    subject: { commonName: "test-ca" },
    altNames: { dns: [], ips: [] },
    publicKey: spki(),
    signingKey: key,
    serial,
    notBeforeMs: 0,
    notAfterMs: Date.UTC(2036, 1, 2, 3, 4, 5),
    uses: [],
  };
}

test("a CA certificate says what it is and is signed by itself", () => {
  const ca = new X509Certificate(issueCertificate(caOptions()));
  expect(ca.subject).toBe("CN=test-ca");
  expect(ca.issuer).toBe("CN=test-ca");
  expect(ca.ca).toBe(true);
  expect(ca.verify(createPublicKey(key))).toBe(true);
  expect(ca.verify(createPublicKey(other))).toBe(false);
  expect(Date.parse(ca.validFrom)).toBe(0);
  expect(Date.parse(ca.validTo)).toBe(Date.UTC(2036, 1, 2, 3, 4, 5));
  expect(ca.serialNumber.toLowerCase()).toBe(Buffer.from(serial).toString("hex"));
});

test("a leaf carries its names and uses and is signed by the CA", () => {
  const issuerPem = issueCertificate(caOptions());
  const pem = issueCertificate({
    ...caOptions(),
    issuerPem,
    subject: { commonName: "node-1", organizations: ["system:nodes", "Straße"] },
    altNames: { dns: ["pi.local"], ips: ["10.43.0.1", "fd00::1:2"] },
    publicKey: spki(other),
    notAfterMs: Date.UTC(2051, 0, 1),
    uses: ["server auth", "client auth"],
  });
  const leaf = new X509Certificate(pem);
  expect(leaf.subject).toBe("O=system:nodes\nO=Straße\nCN=node-1");
  expect(leaf.ca).toBe(false);
  expect(leaf.checkIssued(new X509Certificate(issuerPem))).toBe(true);
  expect(leaf.verify(createPublicKey(key))).toBe(true);
  expect(leaf.checkHost("pi.local")).toBe("pi.local");
  expect(leaf.checkHost("other.local")).toBeUndefined();
  expect(leaf.checkIP("10.43.0.1")).toBe("10.43.0.1");
  expect(leaf.checkIP("fd00::1:2")).toBe("fd00::1:2");
  expect(leaf.checkIP("10.43.0.2")).toBeUndefined();
  expect(leaf.checkPrivateKey(other)).toBe(true);
  expect(Date.parse(leaf.validTo)).toBe(Date.UTC(2051, 0, 1));
  expect(leaf.keyUsage).toEqual(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
});

test("a request is read back as it was written", () => {
  const asked = {
    subject: { commonName: "system:node:pi", organizations: ["system:nodes"] },
    altNames: { dns: ["pi", "pi.local"], ips: ["192.168.1.7", "fd00:0:0:0:0:0:0:7"] },
  };
  const read = readRequest(requestCertificate({ ...asked, key }));
  expect(read.subject).toEqual(asked.subject);
  expect(read.altNames).toEqual(asked.altNames);
  expect(Buffer.from(read.publicKey).equals(spki())).toBe(true);
  const plain = { subject: { commonName: "x" }, altNames: { dns: [], ips: [] } };
  expect(readRequest(requestCertificate({ ...plain, key })).altNames).toEqual(plain.altNames);
});

test("requests are signed with whatever key the client has", () => {
  for (const name of ["req-rsa", "req-p384", "req-ed25519"] as const) {
    expect(readRequest(foreign[name]).subject).toEqual({ commonName: name, organizations: ["o"] });
  }
});

test("a request that was changed or is not one is refused", () => {
  const asked = { subject: { commonName: "good" }, altNames: { dns: [], ips: [] }, key };
  const bytes = Buffer.from(fromPem(requestCertificate(asked), "CERTIFICATE REQUEST"));
  bytes.write("evil", bytes.indexOf("good"));
  expect(() => readRequest(toPem(bytes, "CERTIFICATE REQUEST"))).toThrow("not signed");
  expect(() => readRequest("hello")).toThrow("no PEM block");
});

test("no damage makes the reader of requests do anything but refuse or read", () => {
  const asked = { subject: { commonName: "good" }, altNames: { dns: ["a"], ips: [] }, key };
  const good = Buffer.from(fromPem(requestCertificate(asked), "CERTIFICATE REQUEST"));
  const damage = fc.record({ at: fc.nat(good.length - 1), to: fc.nat(255), cut: fc.nat(3) });
  fc.assert(
    fc.property(damage, ({ at, to, cut }) => {
      const bytes = Buffer.from(good.subarray(0, good.length - cut));
      bytes[at] = to;
      try {
        readRequest(toPem(bytes, "CERTIFICATE REQUEST"));
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect(error).not.toBeInstanceOf(TypeError);
      }
    }),
  );
});

test("property: values of any length are read back", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 70_000 }), (content) => {
      const [outer] = readDer(der.sequence(der.octets(content), der.boolean(true)));
      const [octets, flag] = readDer(outer?.content ?? new Uint8Array());
      expect(Buffer.from(octets?.content ?? []).equals(Buffer.from(content))).toBe(true);
      expect(flag?.content).toEqual(Uint8Array.of(0xff));
    }),
    tries(50),
  );
});

test("addresses in every spelling", () => {
  const hex = (address: string) => Buffer.from(addressBytes(address)).toString("hex");
  expect(hex("10.43.0.1")).toBe("0a2b0001");
  expect(hex("::1")).toBe(`${"0".repeat(31)}1`);
  expect(hex("fe80::")).toBe(`fe80${"0".repeat(28)}`);
  expect(hex("1:2:3:4:5:6:7:8")).toBe("00010002000300040005000600070008");
  expect(hex("::ffff:1.2.3.4")).toBe("00000000000000000000ffff01020304");
  expect(() => addressBytes("fish")).toThrow("not an IP address");
});
