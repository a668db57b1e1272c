/**
 * A backup as one file: a line that says what it is, a line of JSON about it, the packed files,
 * sealed where there is a password, and a SHA-256 over all of it.
 */
import { createHash } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { decrypt, encrypt, NONCE_BYTES, passwordKey } from "#base/cipher.ts";
import { messageOf, OperatorError, UsageError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";

export interface ArchivedFile {
  /** Below the data directory. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** What anybody with the file may know. */
export interface About {
  readonly version: string;
  readonly createdAt: string;
  readonly objects: number;
}

interface Head extends About {
  readonly sealed?: { readonly salt: string; readonly nonce: string; readonly tag: string };
}

const MAGIC = "bramble backup 1\n";
const HASH_BYTES = 32;

const digest = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();

function packFiles(files: readonly ArchivedFile[]): Uint8Array {
  const list = files.map(({ path, bytes }) => ({ path, size: bytes.length }));
  const index = Buffer.from(`${JSON.stringify(list)}\n`);
  return zstdCompressSync(Buffer.concat([index, ...files.map(({ bytes }) => bytes)]));
}

function unpackFiles(packed: Uint8Array): ArchivedFile[] {
  const all = zstdDecompressSync(packed, { maxOutputLength: limits.backupBytesMax });
  const end = all.indexOf("\n");
  const list = JSON.parse(all.subarray(0, end).toString()) as Array<{ path: string; size: number }>;
  let at = end + 1;
  return list.map(({ path, size }) => {
    const bytes = all.subarray(at, at + size);
    at += size;
    return { path, bytes };
  });
}

export function pack(
  files: readonly ArchivedFile[],
  about: About,
  options: { password: string | undefined; random: Random },
): Uint8Array {
  const { password, random } = options;
  let body = packFiles(files);
  let head: Head = about;
  if (password !== undefined) {
    const salt = random.bytes(16);
    const box = encrypt(passwordKey(password, salt), random.bytes(NONCE_BYTES), body);
    body = box.body;
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
    const sealed = { salt: text(salt), nonce: text(box.nonce), tag: text(box.tag) };
    head = { ...about, sealed };
  }
  const whole = Buffer.concat([Buffer.from(`${MAGIC}${JSON.stringify(head)}\n`), body]);
  return Buffer.concat([whole, digest(whole)]);
}

function opened(body: Uint8Array, head: Head, password: string | undefined): Uint8Array {
  if (head.sealed === undefined) return body;
  if (password === undefined) {
    throw new UsageError("this backup is encrypted", { hint: "give --password-file FILE" });
  }
  const { salt, nonce, tag } = head.sealed;
  const bytes = (text: string) => Buffer.from(text, "base64");
  try {
    const key = passwordKey(password, bytes(salt));
    return decrypt(key, { nonce: bytes(nonce), tag: bytes(tag), body });
  } catch (cause) {
    throw new OperatorError("the password is not the one of this backup", { cause });
  }
}

/** Throws OperatorError for what is damaged, no backup, or sealed with another password. */
export function unpack(
  bytes: Uint8Array,
  password: string | undefined,
): { files: ArchivedFile[]; about: About } {
  const all = Buffer.from(bytes);
  if (all.subarray(0, MAGIC.length).toString() !== MAGIC) {
    throw new OperatorError("this is no backup of bramble, or one of a newer version");
  }
  const whole = all.subarray(0, -HASH_BYTES);
  if (!digest(whole).equals(all.subarray(-HASH_BYTES))) {
    throw new OperatorError("the backup is damaged: its checksum is another one");
  }
  try {
    const end = whole.indexOf("\n", MAGIC.length);
    const head = JSON.parse(whole.subarray(MAGIC.length, end).toString()) as Head;
    return { files: unpackFiles(opened(whole.subarray(end + 1), head, password)), about: head };
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    throw new OperatorError(`the backup is damaged: ${messageOf(cause)}`, { cause });
  }
}
