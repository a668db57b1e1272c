/**
 * A backup as one file: a line that says what it is, a line of JSON about it, the packed files,
 * sealed where there is a password, and a SHA-256 over all of it. The checksum finds damage only;
 * that nobody changed the file follows from the seal, which covers both lines too.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { zstdCompressSync, zstdDecompressSync } from "node:zlib";
import { type Box, decrypt, encrypt, NONCE_BYTES, passwordKey, TAG_BYTES } from "#base/cipher.ts";
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

/** In base64. `check` detects a wrong password. Format 1 has only `tag`. */
interface Sealed {
  readonly salt: string;
  readonly nonce: string;
  readonly check: string;
}

const MAGIC = "bramble backup 2\n";
/** Read but no longer written, because its seal covers the files only. */
const MAGIC_1 = "bramble backup 1\n";
const HASH_BYTES = 32;
const SALT_BYTES = 16;
const CHECK_BYTES = 16;

const digest = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest();
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");

/** Its message describes the damage and contains no parser details. */
class DamageError extends Error {}

function packFiles(files: readonly ArchivedFile[]): Uint8Array {
  const list = files.map(({ path, bytes }) => ({ path, size: bytes.length }));
  const index = Buffer.from(`${JSON.stringify(list)}\n`);
  return zstdCompressSync(Buffer.concat([index, ...files.map(({ bytes }) => bytes)]));
}

function isEntry(value: unknown): value is { path: string; size: number } {
  if (typeof value !== "object" || value === null) return false;
  const { path, size } = value as { path?: unknown; size?: unknown };
  return typeof path === "string" && Number.isSafeInteger(size) && Number(size) >= 0;
}

function unpackFiles(packed: Uint8Array): ArchivedFile[] {
  const all = zstdDecompressSync(packed, { maxOutputLength: limits.backupBytesMax });
  const end = all.subarray(0, limits.backupIndexBytesMax).indexOf("\n");
  if (end < 0) throw new DamageError("it has no index");
  const list: unknown = JSON.parse(all.subarray(0, end).toString());
  if (!Array.isArray(list) || !list.every(isEntry)) throw new DamageError("its index is invalid");
  let at = end + 1;
  const files = list.map(({ path, size }) => {
    const bytes = all.subarray(at, at + size);
    at += size;
    return { path, bytes };
  });
  const isTwice = new Set(files.map(({ path }) => path)).size !== files.length;
  if (at !== all.length || isTwice) throw new DamageError("its index does not fit its files");
  return files;
}

/** Derives two independent keys, so that the password check reveals nothing about the other. */
function keysOf(password: string, salt: Uint8Array): { seal: Buffer; check: Buffer } {
  const root = passwordKey(password, salt);
  const of = (use: string) => createHmac("sha256", root).update(`bramble backup ${use}`).digest();
  return { seal: of("seal"), check: of("check").subarray(0, CHECK_BYTES) };
}

function linesOf(about: About & { sealed?: Sealed }): string {
  return `${MAGIC}${JSON.stringify(about)}\n`;
}

export function pack(
  files: readonly ArchivedFile[],
  about: About,
  options: { password: string | undefined; random: Random },
): Uint8Array {
  const { password, random } = options;
  const packed = packFiles(files);
  const parts: Uint8Array[] = [];
  if (password === undefined) {
    parts.push(Buffer.from(linesOf(about)), packed);
  } else {
    const [salt, nonce] = [random.bytes(SALT_BYTES), random.bytes(NONCE_BYTES)];
    const { seal, check } = keysOf(password, salt);
    const sealed = { salt: text(salt), nonce: text(nonce), check: text(check) };
    const lines = linesOf({ ...about, sealed });
    const { body, tag } = encrypt(seal, nonce, packed, lines);
    parts.push(Buffer.from(lines), body, tag);
  }
  const whole = Buffer.concat(parts);
  return Buffer.concat([whole, digest(whole)]);
}

function bytesOf(sealed: object, name: string, length: number): Buffer {
  const value = (sealed as Record<string, unknown>)[name];
  const isShort = typeof value === "string" && value.length <= 2 * length;
  const bytes = Buffer.from(isShort ? value : "", "base64");
  if (bytes.length !== length) throw new DamageError(`its ${name} is invalid`);
  return bytes;
}

const otherPassword = (cause?: unknown): OperatorError =>
  new OperatorError("the password is not the one of this backup", {
    hint: "give --password-file with the password that the backup was made with",
    cause,
  });

/** Format 1 cannot distinguish a wrong password from a changed file. */
function openedFirst(body: Uint8Array, sealed: object, password: string): Uint8Array {
  const salt = bytesOf(sealed, "salt", SALT_BYTES);
  const nonce = bytesOf(sealed, "nonce", NONCE_BYTES);
  const tag = bytesOf(sealed, "tag", TAG_BYTES);
  try {
    return decrypt(passwordKey(password, salt), { nonce, tag, body });
  } catch (cause) {
    throw otherPassword(cause);
  }
}

interface Parts {
  readonly magic: string;
  /** Both header lines, unchanged. */
  readonly lines: string;
  readonly body: Buffer;
}

function opened({ magic, lines, body }: Parts, sealed: object, password: string): Uint8Array {
  if (magic === MAGIC_1) return openedFirst(body, sealed, password);
  const salt = bytesOf(sealed, "salt", SALT_BYTES);
  const nonce = bytesOf(sealed, "nonce", NONCE_BYTES);
  const shown = bytesOf(sealed, "check", CHECK_BYTES);
  if (body.length < TAG_BYTES) throw new DamageError("it is too short");
  const { seal, check } = keysOf(password, salt);
  if (!timingSafeEqual(check, shown)) throw otherPassword();
  const tag = body.subarray(-TAG_BYTES);
  const box: Box = { nonce, tag, body: body.subarray(0, -TAG_BYTES) };
  try {
    return decrypt(seal, box, lines);
  } catch (cause) {
    throw new OperatorError("the backup was changed after it was made", {
      hint: "use another copy of it; this one may be forged",
      cause,
    });
  }
}

/** The packed files, authenticated where a password is given. */
function packedOf(parts: Parts, sealed: unknown, password: string | undefined): Uint8Array {
  if (sealed === undefined) {
    if (password === undefined) return parts.body;
    throw new UsageError("this backup is not encrypted, so the password does not vouch for it", {
      hint: "leave --password-file away only if you know where the file comes from",
    });
  }
  if (typeof sealed !== "object" || sealed === null) throw new DamageError("its seal is invalid");
  if (password === undefined) {
    throw new UsageError("this backup is encrypted", { hint: "give --password-file FILE" });
  }
  return opened(parts, sealed, password);
}

function aboutOf(value: unknown): About & { sealed?: unknown } {
  const about = value as Partial<About> | null;
  const { version, createdAt, objects } = about ?? {};
  const isAbout = typeof version === "string" && typeof createdAt === "string";
  if (!isAbout || typeof objects !== "number") throw new DamageError("its second line is invalid");
  return about as About;
}

function partsOf(whole: Buffer, magic: string): Parts {
  const end = whole.subarray(0, limits.backupHeadBytesMax).indexOf("\n", magic.length);
  if (end < 0) throw new DamageError("its second line is invalid");
  return { magic, lines: whole.toString("utf8", 0, end + 1), body: whole.subarray(end + 1) };
}

/** Throws OperatorError for what is damaged, no backup, or sealed with another password. */
export function unpack(
  bytes: Uint8Array,
  password: string | undefined,
): { files: ArchivedFile[]; about: About } {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const first = all.toString("utf8", 0, MAGIC.length);
  const magic = [MAGIC, MAGIC_1].find((known) => known === first);
  if (magic === undefined) {
    throw new OperatorError("this is no backup of bramble, or one of a newer version");
  }
  const whole = all.subarray(0, -HASH_BYTES);
  if (!digest(whole).equals(all.subarray(-HASH_BYTES))) {
    throw new OperatorError("the backup is damaged: its checksum is another one");
  }
  try {
    const parts = partsOf(whole, magic);
    const { sealed, ...about } = aboutOf(JSON.parse(parts.lines.slice(magic.length)));
    return { files: unpackFiles(packedOf(parts, sealed, password)), about };
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    throw new OperatorError(`the backup is damaged: ${messageOf(cause)}`, { cause });
  }
}
