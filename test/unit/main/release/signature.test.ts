/** A signature counts for one file, one kind, one architecture, and a trusted key. */
import { expect, test } from "bun:test";
import { generateKeyPairSync } from "node:crypto";
import {
  checkSignature,
  isReleaseKey,
  type Release,
  releaseKeyOf,
  SIGNATURE_FILE_BYTES_MAX,
  signRelease,
} from "../../../../src/main/release/signature.ts";

const makeKey = (): string =>
  generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();

const pem = makeKey();
const key = releaseKeyOf(pem);
const release: Release = {
  kind: "program",
  version: "0.2.0",
  arch: "amd64",
  sha256: "ab".repeat(32),
};
const { sha256 } = release;
const text = signRelease(pem, release);

test("a signature of a trusted key is accepted, and says what is signed", () => {
  expect(checkSignature(text, { sha256 }, [key])).toEqual(release);
  const expected = { sha256, kind: "program", arch: "amd64" } as const;
  expect(checkSignature(text, expected, [releaseKeyOf(makeKey()), key])).toEqual(release);
  expect(text.length).toBeLessThan(SIGNATURE_FILE_BYTES_MAX);
});

test("a key of another pair is not trusted, and cannot be put into the text", () => {
  const other = makeKey();
  expect(checkSignature(text, { sha256 }, [])).toBe("untrusted key");
  expect(checkSignature(text, { sha256 }, [releaseKeyOf(other)])).toBe("untrusted key");
  const forged = signRelease(other, release).replace(releaseKeyOf(other), key);
  expect(checkSignature(forged, { sha256 }, [key])).toBe("invalid");
});

test("each line is signed", () => {
  const changes: [string, string][] = [
    ["kind program", "kind bundle"],
    ["version 0.2.0", "version 0.3.0"],
    ["arch amd64", "arch arm64"],
    [sha256, "cd".repeat(32)],
  ];
  for (const [from, to] of changes) {
    const changed = text.replace(from, to);
    expect(changed).not.toBe(text);
    expect(checkSignature(changed, { sha256 }, [key])).toBe("invalid");
  }
});

test("a signature of something else is rejected", () => {
  expect(checkSignature(text, { sha256: "cd".repeat(32) }, [key])).toBe("other content");
  expect(checkSignature(text, { sha256, kind: "bundle" }, [key])).toBe("other kind");
  expect(checkSignature(text, { sha256, arch: "arm64" }, [key])).toBe("other architecture");
});

test("any other form is malformed", () => {
  const broken = [
    "",
    text.slice(0, -1),
    text.slice(0, -20),
    `${text}\n`,
    `${text}${text}`,
    `\n${text}`,
    text.replaceAll("\n", "\r\n"),
    text.replace("v1", "v2"),
    text.replace("kind program\n", ""),
    text.replace("kind program", "kind program\nkind program"),
    text.replace("kind program", "kind other"),
    text.replace("version 0.2.0", "version latest"),
    text.replace(sha256, sha256.toUpperCase()),
    text.replace(/signature .*/, `signature ${"A".repeat(88)}`),
    text.toUpperCase(),
  ];
  for (const each of broken) expect(checkSignature(each, { sha256 }, [key])).toBe("malformed");
});

test("a key is 32 bytes in base64, in one spelling", () => {
  expect(isReleaseKey(key)).toBe(true);
  const broken = ["", "x", key.slice(0, -1), `${key}=`, ` ${key}`, key.slice(4), "=".repeat(44)];
  for (const each of broken) expect(isReleaseKey(each), each).toBe(false);
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey;
  const curve = pair.export({ type: "pkcs8", format: "pem" }).toString();
  expect(() => releaseKeyOf(curve)).toThrow("not an Ed25519 private key");
});

test("what no reader would accept is not signed", () => {
  expect(() => signRelease(pem, { ...release, version: "0.2.0\narch any" })).toThrow(
    "not a release",
  );
  expect(() => signRelease(pem, { ...release, arch: "riscv64" })).toThrow("not a release");
});
