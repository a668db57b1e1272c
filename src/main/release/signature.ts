/**
 * Signatures of release files. Pure. A signature is a text file beside the file that it signs:
 *
 *     bramble release v1
 *     kind program        what the file is; a signature for one kind is not valid for another
 *     version 0.1.0
 *     arch amd64          or arm64, or any
 *     sha256 HEX          digest of the file
 *     key BASE64          raw Ed25519 public key, 32 bytes
 *     signature BASE64    Ed25519 (RFC 8032) over the lines above, each with its newline
 *
 * The first line names the purpose, so that nothing else that the key signs is a release.
 */
import { createPrivateKey, createPublicKey, sign, verify } from "node:crypto";

export const SIGNATURE_SUFFIX = ".sig";
/** Covers version texts of any sensible length; the rest of a signature file has 270 bytes. */
export const SIGNATURE_FILE_BYTES_MAX = 1024;

export const KINDS = ["program", "bundle", "archive", "sbom"] as const;
export type Kind = (typeof KINDS)[number];
const ARCHES = ["amd64", "arm64", "any"] as const;

const HEADER = "bramble release v1";
const KEY_BYTES = 32;
/** SubjectPublicKeyInfo of Ed25519 up to the key itself (RFC 8410). */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const FORM = new RegExp(
  `^${HEADER}\n` +
    `kind (?<kind>${KINDS.join("|")})\n` +
    "version (?<version>[0-9]+\\.[0-9]+\\.[0-9]+)\n" +
    `arch (?<arch>${ARCHES.join("|")})\n` +
    "sha256 (?<sha256>[0-9a-f]{64})\n" +
    "key (?<key>[A-Za-z0-9+/]{43}=)\n" +
    "signature (?<signature>[A-Za-z0-9+/]{86}==)\n$",
);

/** What a signature says about a file. */
export interface Release {
  kind: Kind;
  version: string;
  /** As Kubernetes names it; `any` for a file that is the same for each. */
  arch: string;
  /** Digest of the file, hexadecimal. */
  sha256: string;
}

export interface Signature extends Release {
  /** Raw Ed25519 public key in base64. */
  key: string;
  /** Base64. */
  signature: string;
}

/** Why a signature is not accepted. */
export type SignatureFault =
  | "malformed"
  | "untrusted key"
  | "invalid"
  | "other content"
  | "other kind"
  | "other architecture";

type Unsigned = Omit<Signature, "signature">;

const statementOf = ({ kind, version, arch, sha256, key }: Unsigned): string =>
  `${HEADER}\nkind ${kind}\nversion ${version}\narch ${arch}\nsha256 ${sha256}\nkey ${key}\n`;

/** True for the base64 form of 32 bytes, which is what a raw Ed25519 public key is. */
export function isReleaseKey(text: string): boolean {
  const bytes = Buffer.from(text, "base64");
  return bytes.length === KEY_BYTES && bytes.toString("base64") === text;
}

/** Public half of a PEM private key, in base64. @throws Error where it is not an Ed25519 key. */
export function releaseKeyOf(privateKeyPem: string): string {
  const key = createPrivateKey(privateKeyPem);
  if (key.asymmetricKeyType !== "ed25519") throw new Error("not an Ed25519 private key");
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  return der.subarray(SPKI_PREFIX.length).toString("base64");
}

/** The text of the signature file. @throws Error where no reader would accept the release. */
export function signRelease(privateKeyPem: string, release: Release): string {
  const statement = statementOf({ ...release, key: releaseKeyOf(privateKeyPem) });
  const signature = sign(null, Buffer.from(statement), createPrivateKey(privateKeyPem));
  const text = `${statement}signature ${signature.toString("base64")}\n`;
  if (parseSignature(text) === undefined) throw new Error(`not a release: ${statement}`);
  return text;
}

/** Undefined where the text has any other form. */
export function parseSignature(text: string): Signature | undefined {
  const found = FORM.exec(text)?.groups;
  if (found === undefined || !isReleaseKey(found["key"] ?? "")) return undefined;
  return found as unknown as Signature;
}

function isSigned(found: Signature): boolean {
  const der = Buffer.concat([SPKI_PREFIX, Buffer.from(found.key, "base64")]);
  const publicKey = createPublicKey({ key: der, format: "der", type: "spki" });
  const signature = Buffer.from(found.signature, "base64");
  return verify(null, Buffer.from(statementOf(found)), publicKey, signature);
}

/** What a file must be. */
export interface Expected {
  sha256: string;
  kind?: Kind | undefined;
  arch?: string | undefined;
}

/** Checks a signature file against the file, what is expected of it, and the trusted keys. */
export function checkSignature(
  text: string,
  expected: Expected,
  trusted: readonly string[],
): Release | SignatureFault {
  const found = parseSignature(text);
  if (found === undefined) return "malformed";
  if (!trusted.includes(found.key)) return "untrusted key";
  if (!isSigned(found)) return "invalid";
  if (found.sha256 !== expected.sha256) return "other content";
  if (expected.kind !== undefined && found.kind !== expected.kind) return "other kind";
  if (expected.arch !== undefined && found.arch !== expected.arch) return "other architecture";
  const { kind, version, arch, sha256 } = found;
  return { kind, version, arch, sha256 };
}
