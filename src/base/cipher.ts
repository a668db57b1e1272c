/** AES-256-GCM, as everything that bramble seals uses it; how the parts are laid out is the caller's. */
import { createCipheriv, createDecipheriv, scryptSync } from "node:crypto";

export const NONCE_BYTES = 12;
export const TAG_BYTES = 16;
const CIPHER = "aes-256-gcm";
/** 32 MB and about 0.1 s for each try of a password (RFC 7914). */
const SCRYPT = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };

export interface Box {
  readonly nonce: Uint8Array;
  readonly tag: Uint8Array;
  readonly body: Uint8Array;
}

/** The 32 bytes of a key, slow to guess a password by. */
export const passwordKey = (password: string, salt: Uint8Array): Uint8Array =>
  scryptSync(password, salt, 32, SCRYPT);

/** A nonce serves a key once. Only who names the same `name` can open the box. */
export function encrypt(
  key: Uint8Array,
  nonce: Uint8Array,
  plain: Uint8Array | string,
  name = "",
): Box {
  const cipher = createCipheriv(CIPHER, key, nonce);
  cipher.setAAD(Buffer.from(name));
  const body = Buffer.concat([cipher.update(plain), cipher.final()]);
  return { nonce, tag: cipher.getAuthTag(), body };
}

/** @throws Error for another key or name, and for a box that was changed. */
export function decrypt(key: Uint8Array, { nonce, tag, body }: Box, name = ""): Buffer {
  const decipher = createDecipheriv(CIPHER, key, nonce);
  decipher.setAAD(Buffer.from(name));
  decipher.setAuthTag(tag);
  return Buffer.concat([decipher.update(body), decipher.final()]);
}
