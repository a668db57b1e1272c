/**
 * Certificates and requests (RFC 5280, RFC 2986), signed with ECDSA P-256. Own code of this size
 * instead of a library: loading one cost 12 MB of memory in every process that joins or serves.
 */
import { createHash, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { type DerNode, der, fromPem, readDer, toPem } from "#base/der.ts";

export interface Subject {
  readonly commonName: string;
  readonly organizations?: readonly string[];
}

export interface AltNames {
  readonly dns: readonly string[];
  readonly ips: readonly string[];
}

export type KeyUse = "server auth" | "client auth";

export interface CertificateRequest {
  readonly subject: Subject;
  readonly altNames: AltNames;
  /** SubjectPublicKeyInfo, DER. */
  readonly publicKey: Uint8Array;
}

export interface CertificateOptions extends CertificateRequest {
  /** Who signs; the CA's own certificate has none. */
  readonly issuerPem?: string;
  readonly signingKey: KeyObject;
  /** 16 random bytes. */
  readonly serial: Uint8Array;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** What the certificate is for; none: it is a CA's. */
  readonly uses: readonly KeyUse[];
}

const OID = {
  commonName: "2.5.4.3",
  organization: "2.5.4.10",
  subjectKey: "2.5.29.14",
  keyUsage: "2.5.29.15",
  altNames: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  authorityKey: "2.5.29.35",
  extendedKeyUsage: "2.5.29.37",
  extensionRequest: "1.2.840.113549.1.9.14",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const;

/** How a request may be signed, and with which hash; Ed25519 has its own. */
const SIGNATURE_HASH: ReadonlyMap<string, string | null> = new Map([
  ["1.2.840.10045.4.3.2", "sha256"],
  ["1.2.840.10045.4.3.3", "sha384"],
  ["1.2.840.10045.4.3.4", "sha512"],
  ["1.2.840.113549.1.1.11", "sha256"],
  ["1.2.840.113549.1.1.12", "sha384"],
  ["1.2.840.113549.1.1.13", "sha512"],
  ["1.3.101.112", null],
]);

const USE_OID: Record<KeyUse, string> = {
  "server auth": "1.3.6.1.5.5.7.3.1",
  "client auth": "1.3.6.1.5.5.7.3.2",
};

/** Bits of keyUsage, the first is the highest: digitalSignature; and keyCertSign with cRLSign. */
const SIGN_DATA = 0x80;
const SIGN_CERTIFICATES = 0x06;

const ECDSA = der.sequence(der.oid(OID.ecdsaWithSha256));

function encodeName({ organizations = [], commonName }: Subject): Uint8Array {
  const part = (id: string, text: string) => der.set(der.sequence(der.oid(id), der.text(text)));
  const parts = organizations.map((text) => part(OID.organization, text));
  return der.sequence(...parts, part(OID.commonName, commonName));
}

/** Network order; throws Error for what is no address. */
export function addressBytes(address: string): Uint8Array {
  if (isIPv4(address)) return Uint8Array.from(address.split(".").map(Number));
  if (!isIPv6(address)) throw new Error(`"${address}" is not an IP address`);
  const groups = (text: string): number[] =>
    text === ""
      ? []
      : text.split(":").flatMap((part) => {
          if (!part.includes(".")) return [Number.parseInt(part, 16)];
          const [a = 0, b = 0, c = 0, d = 0] = part.split(".").map(Number);
          return [a * 256 + b, c * 256 + d];
        });
  const [head = "", tail] = address.split("::");
  const front = groups(head);
  const back = groups(tail ?? "");
  const zeros = new Array<number>(8 - front.length - back.length).fill(0);
  const all = [...front, ...zeros, ...back];
  return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups: string[] = [];
  for (let i = 0; i < bytes.length; i += 2) {
    groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  }
  return groups.join(":");
}

function encodeAltNames({ dns, ips }: AltNames): Uint8Array {
  return der.sequence(
    ...dns.map((name) => der.plain(2, Buffer.from(name))),
    ...ips.map((address) => der.plain(7, addressBytes(address))),
  );
}

function extension(id: string, value: Uint8Array, critical = false): Uint8Array {
  const flag = critical ? [der.boolean(true)] : [];
  return der.sequence(der.oid(id), ...flag, der.octets(value));
}

/** RFC 5280, 4.2.1.2: the hash of the key's bits. */
function keyId(publicKey: Uint8Array): Uint8Array {
  const [info] = readDer(publicKey);
  const [, bits] = readDer(info?.content ?? new Uint8Array());
  return createHash("sha1")
    .update(bits?.content.subarray(1) ?? "")
    .digest();
}

function extensions(options: CertificateOptions, authorityKey: Uint8Array): Uint8Array {
  const { uses, altNames } = options;
  const authority = uses.length === 0;
  const usage = authority
    ? der.bits(Uint8Array.of(SIGN_DATA | SIGN_CERTIFICATES), 1)
    : der.bits(Uint8Array.of(SIGN_DATA), 7);
  const constraints = authority ? der.sequence(der.boolean(true)) : der.sequence();
  const list = [
    extension(OID.basicConstraints, constraints, true),
    extension(OID.keyUsage, usage, true),
    extension(OID.subjectKey, der.octets(keyId(options.publicKey))),
    extension(OID.authorityKey, der.sequence(der.plain(0, keyId(authorityKey)))),
  ];
  if (!authority) {
    const ids = uses.map((use) => der.oid(USE_OID[use]));
    list.push(extension(OID.extendedKeyUsage, der.sequence(...ids)));
  }
  if (altNames.dns.length + altNames.ips.length > 0) {
    list.push(extension(OID.altNames, encodeAltNames(altNames)));
  }
  return der.sequence(...list);
}

function signed(body: Uint8Array, key: KeyObject): Uint8Array {
  return der.sequence(body, ECDSA, der.bits(sign("sha256", body, key)));
}

/** A certificate in PEM. */
export function issueCertificate(options: CertificateOptions): string {
  const name = encodeName(options.subject);
  const issuer =
    options.issuerPem === undefined
      ? { name, publicKey: options.publicKey }
      : subjectOf(options.issuerPem);
  const body = der.sequence(
    der.inside(0, der.integer(Uint8Array.of(2))),
    der.integer(options.serial),
    ECDSA,
    issuer.name,
    der.sequence(der.time(options.notBeforeMs), der.time(options.notAfterMs)),
    name,
    options.publicKey,
    der.inside(3, extensions(options, issuer.publicKey)),
  );
  return toPem(signed(body, options.signingKey), "CERTIFICATE");
}

/** A request for a certificate, in PEM, proving that the key is there. */
export function requestCertificate(
  options: Omit<CertificateRequest, "publicKey"> & { key: KeyObject },
): string {
  const publicKey = createPublicKey(options.key).export({ type: "spki", format: "der" });
  const wanted = der.sequence(extension(OID.altNames, encodeAltNames(options.altNames)));
  const attributes =
    options.altNames.dns.length + options.altNames.ips.length > 0
      ? [der.sequence(der.oid(OID.extensionRequest), der.set(wanted))]
      : [];
  const body = der.sequence(
    der.integer(Uint8Array.of(0)),
    encodeName(options.subject),
    publicKey,
    der.inside(0, ...attributes),
  );
  return toPem(signed(body, options.key), "CERTIFICATE REQUEST");
}

/** Reads a request and checks its signature; throws Error with the reason. */
export function readRequest(pem: string): CertificateRequest {
  const [request] = readDer(fromPem(pem, "CERTIFICATE REQUEST"));
  const [body, algorithm, signature] = children(request);
  const [, subject, publicKey, ...attributes] = children(body);
  if (body === undefined || publicKey === undefined || signature === undefined) {
    throw new Error("the certificate request is damaged");
  }
  const key = createPublicKey({ key: Buffer.from(publicKey.bytes), format: "der", type: "spki" });
  const [name] = children(algorithm);
  const known = [...SIGNATURE_HASH].find(([id]) => isOid(name, id));
  if (known === undefined)
    throw new Error("the certificate request's signature is of unknown kind");
  if (!verify(known[1], body.bytes, key, signature.content.subarray(1))) {
    throw new Error("the certificate request is not signed by its own key");
  }
  return {
    subject: decodeName(subject),
    altNames: decodeAltNames(attributes.flatMap(children)),
    publicKey: publicKey.bytes,
  };
}

function children(node: DerNode | undefined): DerNode[] {
  return node === undefined ? [] : readDer(node.content);
}

/** The subject's name and key of a certificate, as they stand in it. */
function subjectOf(pem: string): { name: Uint8Array; publicKey: Uint8Array } {
  const [certificate] = readDer(fromPem(pem, "CERTIFICATE"));
  const [, , , , , name, publicKey] = children(children(certificate)[0]);
  if (name === undefined || publicKey === undefined) throw new Error("the certificate is damaged");
  return { name: name.bytes, publicKey: publicKey.bytes };
}

const isOid = (node: DerNode | undefined, dotted: string): boolean =>
  node !== undefined && Buffer.from(node.bytes).equals(der.oid(dotted));

function decodeName(name: DerNode | undefined): Subject {
  let commonName = "";
  const organizations: string[] = [];
  for (const part of children(name).flatMap(children)) {
    const [type, value] = children(part);
    const text = Buffer.from(value?.content ?? "").toString("utf8");
    if (isOid(type, OID.commonName)) commonName = text;
    else if (isOid(type, OID.organization)) organizations.push(text);
    else throw new Error("the subject may have a common name and organizations only");
  }
  return { commonName, organizations };
}

function decodeAltNames(attributes: readonly DerNode[]): AltNames {
  const dns: string[] = [];
  const ips: string[] = [];
  for (const attribute of attributes) {
    const [type, values] = children(attribute);
    if (!isOid(type, OID.extensionRequest)) continue;
    for (const wanted of children(values).flatMap(children)) {
      const parts = children(wanted);
      if (!isOid(parts[0], OID.altNames)) continue;
      const [names] = readDer(parts.at(-1)?.content ?? new Uint8Array());
      for (const name of children(names)) {
        if (name.tag === 0x82) dns.push(Buffer.from(name.content).toString("latin1"));
        else if (name.tag === 0x87) ips.push(addressText(name.content));
        else throw new Error("alternative names may be DNS names and IP addresses only");
      }
    }
  }
  return { dns, ips };
}
