/** The check that every new program and bundle passes before anything of it runs. */
import { existsSync, statSync } from "node:fs";
import { OperatorError } from "#base/errors.ts";
import { readText } from "#base/files.ts";
import {
  checkSignature,
  type Kind,
  type Release,
  SIGNATURE_FILE_BYTES_MAX,
  SIGNATURE_SUFFIX,
  type SignatureFault,
} from "./signature.ts";

/** Filled in by the build. */
declare const BRAMBLE_RELEASE_KEYS: string | undefined;

/** Public keys that this program was built with, base64. None in a build from source. */
export const embeddedReleaseKeys: readonly string[] = (
  typeof BRAMBLE_RELEASE_KEYS === "string" ? BRAMBLE_RELEASE_KEYS : ""
)
  .split(",")
  .filter((key) => key !== "");

export interface ReleaseTrust {
  /** Public keys, base64. */
  keys: readonly string[];
  /** Accepts any file, after a warning. */
  allowUnsigned: boolean;
  warn(text: string): void;
}

export interface ReleaseFile {
  path: string;
  /** What messages call it. */
  name: string;
  kind?: Kind | undefined;
  arch?: string | undefined;
}

/** Hexadecimal digest. Reads the file in chunks: a program has 100 MB. */
export async function sha256Of(path: string): Promise<string> {
  const hash = new Bun.CryptoHasher("sha256");
  for await (const chunk of Bun.file(path).stream()) hash.update(chunk);
  return hash.digest("hex");
}

const RISK = "whoever made it can do everything on this machine as root";

const WORDS: Record<SignatureFault, string> = {
  malformed: "its signature file is damaged",
  "untrusted key": "it is signed with a key that is not trusted here",
  invalid: "its signature is wrong",
  "other content": "its signature is of another file",
  "other kind": "its signature is of another kind of file",
  "other architecture": "its signature is for another architecture",
};

/** A file that is no regular file or is too large counts as malformed. */
function signatureOf(path: string): string | undefined {
  if (!existsSync(path)) return undefined;
  const found = statSync(path);
  return found.isFile() && found.size <= SIGNATURE_FILE_BYTES_MAX ? readText(path) : "";
}

async function check(file: ReleaseFile, keys: readonly string[]): Promise<Release | string> {
  const text = signatureOf(`${file.path}${SIGNATURE_SUFFIX}`);
  if (text === undefined) return `there is no ${file.name}${SIGNATURE_SUFFIX}`;
  const { kind, arch } = file;
  const found = checkSignature(text, { sha256: await sha256Of(file.path), kind, arch }, keys);
  return typeof found === "string" ? WORDS[found] : found;
}

/**
 * Reads `FILE.sig` beside the file. A caller that runs or copies the file afterwards first takes a
 * copy that nobody else can write, and verifies that copy.
 * @returns what is signed; undefined where `allowUnsigned` let it pass
 * @throws OperatorError where the file is not signed with a trusted key
 */
export async function verifyRelease(
  file: ReleaseFile,
  trust: ReleaseTrust,
): Promise<Release | undefined> {
  const found = await check(file, trust.keys);
  if (typeof found !== "string") return found;
  if (trust.allowUnsigned) {
    trust.warn(`warning: ${file.name} is not verified (${found}): ${RISK}`);
    return undefined;
  }
  throw new OperatorError(`${file.name} is rejected: ${found}`, {
    hint: `--release-keys KEY trusts another key; --allow-unsigned accepts any file: ${RISK}`,
  });
}
