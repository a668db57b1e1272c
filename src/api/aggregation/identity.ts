/**
 * Who this server is to the API servers that extend it: a client certificate of an authority of its
 * own, so that nobody with another certificate of the cluster can speak in a user's name.
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
import type { Clock } from "#base/clock.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import type { Random } from "#base/random.ts";
import { issueCertificate } from "#base/x509.ts";

export interface FrontProxy {
  /** Whom extension servers trust to tell them users' names. */
  readonly caPem: string;
  readonly certPem: string;
  readonly keyPem: string;
}

/** The one name that extension servers accept. */
export const FRONT_PROXY_NAME = "front-proxy-client";

const CA_NAME = "bramble-front-proxy-ca";
const DAY_MS = 24 * 60 * 60 * 1000;
const DAYS = 3652;
/** Before this much is left everything is made anew: nobody keeps the authority. */
const RENEW_DAYS = 365;
/** A clock that shows less is wrong: this program did not exist. */
const EARLIEST_MS = Date.UTC(2026, 0, 1);

export interface FrontProxyOptions {
  /** 0700; the files in it 0600. */
  readonly dir: string;
  readonly clock: Clock;
  readonly random: Random;
}

const FILES = {
  ca: "front-proxy-ca.crt",
  cert: "front-proxy-client.crt",
  key: "front-proxy-client.key",
} as const;

const spki = (key: KeyObject): Uint8Array =>
  createPublicKey(key).export({ type: "spki", format: "der" });

const newKey = (): KeyObject => generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;

function serial(random: Random): Uint8Array {
  const bytes = random.bytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

function make({ random }: FrontProxyOptions, nowMs: number): FrontProxy {
  const [caKey, key] = [newKey(), newKey()];
  const common = { signingKey: caKey, notBeforeMs: 0, notAfterMs: nowMs + DAYS * DAY_MS };
  const noNames = { dns: [], ips: [] };
  const caPem = issueCertificate({
    ...common,
    subject: { commonName: CA_NAME },
    altNames: noNames,
    publicKey: spki(caKey),
    serial: serial(random),
    uses: [],
  });
  const certPem = issueCertificate({
    ...common,
    issuerPem: caPem,
    subject: { commonName: FRONT_PROXY_NAME },
    altNames: noNames,
    publicKey: spki(key),
    serial: serial(random),
    uses: ["client auth"],
  });
  return { caPem, certPem, keyPem: key.export({ type: "pkcs8", format: "pem" }).toString() };
}

function isGood({ caPem, certPem, keyPem }: FrontProxy, nowMs: number): boolean {
  const certificate = new X509Certificate(certPem);
  return (
    certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
    certificate.checkIssued(new X509Certificate(caPem)) &&
    Date.parse(certificate.validTo) > nowMs + RENEW_DAYS * DAY_MS
  );
}

/**
 * Opens or makes it; the authority's key is thrown away. @throws OperatorError for a damaged file.
 */
export function openFrontProxy(options: FrontProxyOptions): FrontProxy {
  const { dir, clock } = options;
  const nowMs = Math.max(clock.now(), EARLIEST_MS);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const read = (name: string): string => readText(join(dir, name)) ?? "";
  const known = { caPem: read(FILES.ca), certPem: read(FILES.cert), keyPem: read(FILES.key) };
  if (known.caPem !== "" && known.certPem !== "" && known.keyPem !== "") {
    try {
      if (isGood(known, nowMs)) return known;
    } catch (cause) {
      throw new OperatorError(`${join(dir, FILES.cert)} is damaged: ${messageOf(cause)}`, {
        cause,
        hint: `remove ${FILES.ca}, ${FILES.cert} and ${FILES.key}: they are made anew`,
      });
    }
  }
  const made = make(options, nowMs);
  writeDurably(join(dir, FILES.key), made.keyPem);
  writeDurably(join(dir, FILES.cert), made.certPem);
  // Last: without it everything is made anew.
  writeDurably(join(dir, FILES.ca), made.caPem);
  return made;
}
