/**
 * Keys that seal values at rest: AES-256-GCM with a nonce a value, bound to the name that the value
 * is stored under. The first key of the file seals; all of them open, so that what was sealed
 * before a rotation, and older backups, can be read.
 */
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from "#base/cipher.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";

export interface SealKey {
  /** 8 hexadecimal digits; stands beside each value that it sealed. */
  readonly id: string;
  readonly key: Buffer;
}

const MARK = "bramble:aes-gcm:";
const ID = /^[0-9a-f]{8}$/;

/** Whether a stored text was sealed, by whichever key. */
export const isSealed = (stored: string): boolean => stored.startsWith(MARK);

export class ValueSealer {
  readonly #keys: readonly SealKey[];
  readonly #random: Random;
  readonly #prefix: string | undefined;

  /** Without `prefix` nothing is sealed; what is sealed already can still be opened. */
  constructor(keys: readonly SealKey[], random: Random, prefix: string | undefined) {
    this.#keys = keys;
    this.#random = random;
    this.#prefix = prefix;
  }

  covers(key: string): boolean {
    return this.#prefix !== undefined && key.startsWith(this.#prefix);
  }

  isSealed(stored: string): boolean {
    return isSealed(stored);
  }

  isCurrent(stored: string): boolean {
    return stored.startsWith(`${MARK}${this.#keys[0]?.id}:`);
  }

  seal(name: string, value: string): string {
    const [first] = this.#keys;
    if (first === undefined) throw new Error("there is no key");
    const box = encrypt(first.key, this.#random.bytes(NONCE_BYTES), value, name);
    const sealed = Buffer.concat([box.nonce, box.body, box.tag]);
    return `${MARK}${first.id}:${sealed.toString("base64")}`;
  }

  open(name: string, stored: string): string {
    const [id = "", text = ""] = stored.slice(MARK.length).split(":");
    const found = this.#keys.find((each) => each.id === id);
    if (found === undefined) throw new Error(`key ${id} is not in the key file`);
    const sealed = Buffer.from(text, "base64");
    const box = {
      nonce: sealed.subarray(0, NONCE_BYTES),
      body: sealed.subarray(NONCE_BYTES, -TAG_BYTES),
      tag: sealed.subarray(-TAG_BYTES),
    };
    try {
      return decrypt(found.key, box, name).toString("utf8");
    } catch {
      throw new Error(`key ${id} does not fit, or the value is damaged`);
    }
  }
}

function newKey(random: Random): SealKey {
  return {
    id: Buffer.from(random.bytes(4)).toString("hex"),
    key: Buffer.from(random.bytes(32)),
  };
}

function writeKeys(path: string, keys: readonly SealKey[]): void {
  const lines = keys.map(({ id, key }) => `${id}:${key.toString("base64")}\n`);
  writeDurably(path, lines.join(""));
}

/** The keys of a file, the newest first; undefined where there is no file. @throws OperatorError */
export function readKeys(path: string): SealKey[] | undefined {
  let text: string | undefined;
  try {
    text = readText(path);
  } catch (error) {
    throw new OperatorError(`cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  if (text === undefined) return undefined;
  const keys = text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => {
      const [id = "", key = ""] = line.split(":");
      return { id, key: Buffer.from(key, "base64") };
    });
  if (keys.length === 0 || keys.some(({ id, key }) => !ID.test(id) || key.length !== 32)) {
    throw new OperatorError(`${path} is damaged: it is no file of encryption keys`, {
      hint: "restore it from a backup",
    });
  }
  return keys;
}

/** Puts a new key before those of the file, which is made where it is missing. */
export function addKey(path: string, random: Random): SealKey[] {
  const keys = [newKey(random), ...(readKeys(path) ?? [])].slice(0, limits.encryptionKeysMax);
  writeKeys(path, keys);
  return keys;
}
