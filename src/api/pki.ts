/**
 * The cluster's keys: a CA made at the first start, the server's certificate, the key that signs
 * service account tokens. Devices without a clock battery start in the past, or years ahead, and
 * TLS knows no clock but theirs: both certificates are valid from 1970 on and have no end, so that
 * a device reaches its server, which tells it the time. An end of the server's would protect
 * nothing, for the CA's key lies beside it. Certificates of clients have one.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  X509Certificate,
} from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Cancel, Clock } from "#base/clock.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";
import { EARLIEST_MS } from "#base/truetime.ts";
import {
  type AltNames,
  addressBytes,
  issueCertificate,
  type KeyUse,
  readRequest,
} from "#base/x509.ts";

export interface PkiOptions {
  /** Made where it is missing, 0700; the files in it 0600. */
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** What clients call this server: host names and addresses, beside the usual ones. */
  readonly names: readonly string[];
  readonly ips: readonly string[];
  readonly clusterDomain?: string;
  /** Each range's first address is the `kubernetes` Service's. */
  readonly serviceCidrs?: readonly string[];
}

export interface KeyPair {
  readonly certPem: string;
  readonly keyPem: string;
}

export interface Pki {
  readonly caPem: string;
  /** SHA-256 of the CA certificate's DER, in hexadecimal. */
  caFingerprint(): string;
  /** The server's certificate as it is now. */
  server(): KeyPair;
  /** The machine has these addresses now: a certificate without one of them is made anew. */
  setAddresses(ips: readonly string[]): void;
  /** Calls back with each new certificate of the server. */
  onRenewed(listener: (pair: KeyPair) => void): Cancel;
  /** Signs service account tokens (ES256); PEM. */
  readonly serviceAccountKey: { readonly privatePem: string; readonly publicPem: string };
  /**
   * Signs a request as it stands; whom to trust is the caller's to decide. Error when it is
   * damaged.
   */
  signCertificate(csrPem: string, options: SignOptions): string;
  /** Nobody is called back any more. */
  close(): void;
}

export interface SignOptions {
  readonly usages: readonly KeyUse[];
  readonly days: number;
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** As RFC 5280, 4.1.2.5, writes that there is no end. */
const NO_END_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

const FILES = {
  caCert: "ca.crt",
  caKey: "ca.key",
  serverCert: "server.crt",
  serverKey: "server.key",
  serviceAccountKey: "service-account.key",
} as const;

const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
const keyPem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }).toString();
const spki = (key: KeyObject): Uint8Array =>
  createPublicKey(key).export({ type: "spki", format: "der" });

function firstAddress(cidr: string): string {
  const bytes = addressBytes(cidr.split("/")[0] ?? "");
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) + 1;
  if (bytes.length === 4) return bytes.join(".");
  const hex = Buffer.from(bytes).toString("hex");
  return (hex.match(/.{4}/g) ?? []).join(":");
}

function serverNames(options: PkiOptions): AltNames {
  const domain = options.clusterDomain ?? "cluster.local";
  const dns = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    `kubernetes.default.svc.${domain}`,
    "localhost",
    ...options.names,
  ];
  const services = (options.serviceCidrs ?? []).map(firstAddress);
  const ips = ["127.0.0.1", "::1", ...services, ...options.ips];
  return { dns: [...new Set(dns)], ips: [...new Set(ips)] };
}

/** Whether clients find every name that they may use. */
function covers(certificate: X509Certificate, names: AltNames): boolean {
  return (
    names.dns.every((name) => certificate.checkHost(name) !== undefined) &&
    names.ips.every((address) => certificate.checkIP(address) !== undefined)
  );
}

class FilePki implements Pki {
  #options: PkiOptions;
  readonly #listeners = new Set<(pair: KeyPair) => void>();
  readonly #caKey: KeyObject;
  readonly caPem: string;
  readonly serviceAccountKey: Pki["serviceAccountKey"];
  #server: KeyPair;

  constructor(options: PkiOptions) {
    this.#options = options;
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    const ca = this.#read(FILES.caCert);
    // Made in this order, so a CA certificate without its key means that the key was lost.
    if (ca !== undefined && this.#read(FILES.caKey) === undefined) this.#damaged(FILES.caKey);
    this.#caKey = this.#key(FILES.caKey);
    this.caPem = ca ?? this.#makeCa();
    this.#checkCa();
    const serviceAccount = this.#key(FILES.serviceAccountKey);
    this.serviceAccountKey = {
      privatePem: keyPem(serviceAccount),
      publicPem: createPublicKey(serviceAccount).export({ type: "spki", format: "pem" }).toString(),
    };
    this.#server = this.#currentServer() ?? this.#makeServer();
  }

  caFingerprint(): string {
    return new X509Certificate(this.caPem).fingerprint256.replaceAll(":", "").toLowerCase();
  }

  server(): KeyPair {
    return this.#server;
  }

  setAddresses(ips: readonly string[]): void {
    this.#options = { ...this.#options, ips };
    const certificate = new X509Certificate(this.#server.certPem);
    if (!covers(certificate, serverNames(this.#options))) this.#renew();
  }

  onRenewed(listener: (pair: KeyPair) => void): Cancel {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  signCertificate(csrPem: string, { usages, days }: SignOptions): string {
    if (usages.length === 0 || days <= 0) throw new Error("a certificate needs a use and a life");
    return issueCertificate({
      ...readRequest(csrPem),
      ...this.#signer(),
      notAfterMs: this.#now() + days * DAY_MS,
      uses: usages,
    });
  }

  close(): void {
    this.#listeners.clear();
  }

  #now(): number {
    return Math.max(this.#options.clock.now(), EARLIEST_MS);
  }

  #signer() {
    return {
      issuerPem: this.caPem,
      signingKey: this.#caKey,
      serial: this.#serial(),
      notBeforeMs: 0,
    };
  }

  /** Positive and of full length (RFC 5280, 4.1.2.2). */
  #serial(): Uint8Array {
    const serial = this.#options.random.bytes(16);
    serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
    return serial;
  }

  #read(name: string): string | undefined {
    const text = readText(join(this.#options.dir, name));
    return text === "" ? undefined : text;
  }

  #write(name: string, text: string): string {
    writeDurably(join(this.#options.dir, name), text);
    return text;
  }

  #key(name: string): KeyObject {
    const pem = this.#read(name);
    if (pem === undefined) {
      const key = newKey();
      this.#write(name, keyPem(key));
      return key;
    }
    try {
      return createPrivateKey(pem);
    } catch (error) {
      return this.#damaged(name, error);
    }
  }

  #damaged(name: string, cause?: unknown): never {
    const reason = cause === undefined ? "is missing" : `is damaged: ${messageOf(cause)}`;
    throw new OperatorError(`${join(this.#options.dir, name)} ${reason}`, {
      hint: "restore it from a backup",
      cause,
    });
  }

  #checkCa(): void {
    try {
      const matches = new X509Certificate(this.caPem).checkPrivateKey(this.#caKey);
      if (!matches) throw new Error("it does not belong to the key beside it");
    } catch (error) {
      this.#damaged(FILES.caCert, error);
    }
  }

  #makeCa(): string {
    this.#options.log.info("making the cluster's certificate authority");
    const pem = issueCertificate({
      subject: { commonName: "bramble-ca" },
      altNames: { dns: [], ips: [] },
      publicKey: spki(this.#caKey),
      signingKey: this.#caKey,
      serial: this.#serial(),
      notBeforeMs: 0,
      notAfterMs: NO_END_MS,
      uses: [],
    });
    return this.#write(FILES.caCert, pem);
  }

  #makeServer(): KeyPair {
    const key = newKey();
    const certPem = issueCertificate({
      ...this.#signer(),
      subject: { commonName: "bramble-server" },
      altNames: serverNames(this.#options),
      publicKey: spki(key),
      notAfterMs: NO_END_MS,
      uses: ["server auth"],
    });
    const pair = { keyPem: keyPem(key), certPem };
    this.#keep(pair);
    return pair;
  }

  /** Where the disk is full the pair serves as long as this process does. */
  #keep(pair: KeyPair): void {
    try {
      // The key goes first: a certificate without its key is made anew at the next start.
      this.#write(FILES.serverKey, pair.keyPem);
      this.#write(FILES.serverCert, pair.certPem);
    } catch (error) {
      this.#options.log.warn("the server's certificate was not kept", { error: messageOf(error) });
    }
  }

  /** The pair on the disk, when it is whole, ours, without an end and has every name. */
  #currentServer(): KeyPair | undefined {
    const certPem = this.#read(FILES.serverCert);
    const key = this.#read(FILES.serverKey);
    if (certPem === undefined || key === undefined) return undefined;
    try {
      const certificate = new X509Certificate(certPem);
      const good =
        certificate.checkPrivateKey(createPrivateKey(key)) &&
        certificate.verify(createPublicKey(this.#caKey)) &&
        // Those of earlier versions have an end.
        Date.parse(certificate.validTo) === NO_END_MS &&
        covers(certificate, serverNames(this.#options));
      return good ? { certPem, keyPem: key } : undefined;
    } catch (error) {
      this.#options.log.warn("the server's certificate is damaged", { error: messageOf(error) });
      return undefined;
    }
  }

  #renew(): void {
    this.#server = this.#makeServer();
    this.#options.log.info("made a new certificate for the server");
    for (const listener of this.#listeners) listener(this.#server);
  }
}

/** Opens or makes the keys; OperatorError when a file is damaged. */
export async function openPki(options: PkiOptions): Promise<Pki> {
  return new FilePki(options);
}
