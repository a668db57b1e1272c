/**
 * Keys and signatures of releases.
 *   bun tools/release.ts key KEYFILE                          prints the public key
 *   bun tools/release.ts sign KEYFILE KIND VERSION ARCH FILE  writes FILE.sig
 * `key` makes a key where there is none.
 */
import { generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  KINDS,
  releaseKeyOf,
  SIGNATURE_SUFFIX,
  signRelease,
} from "../src/main/release/signature.ts";
import { sha256Of } from "../src/main/release/verify.ts";

const USAGE = "usage: release.ts key KEYFILE | release.ts sign KEYFILE KIND VERSION ARCH FILE";

function makeKey(path: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const pem = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" });
  // `wx`: an existing key is never replaced.
  writeFileSync(path, pem, { mode: 0o600, flag: "wx" });
}

function key(path: string): void {
  if (!existsSync(path)) makeKey(path);
  console.log(releaseKeyOf(readFileSync(path, "utf8")));
}

async function sign(keyFile: string, words: readonly string[]): Promise<void> {
  const [given, version = "", arch = "", file] = words;
  const kind = KINDS.find((each) => each === given);
  if (kind === undefined || file === undefined) throw new Error(USAGE);
  const pem = readFileSync(keyFile, "utf8");
  const text = signRelease(pem, { kind, version, arch, sha256: await sha256Of(file) });
  writeFileSync(`${file}${SIGNATURE_SUFFIX}`, text);
}

const [verb, keyFile, ...rest] = process.argv.slice(2);
try {
  if (verb === "key" && keyFile !== undefined) key(keyFile);
  else if (verb === "sign" && keyFile !== undefined) await sign(keyFile, rest);
  else throw new Error(USAGE);
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error));
  process.exit(1);
}
