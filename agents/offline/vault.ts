/**
 * What a node keeps on its disk to work without its server: named texts, sealed with a key that is
 * made from the node's own (AES-256-GCM). A copy of the card's data without that key tells nothing
 * of the Secrets in them. Knows nothing of what the texts say.
 */
import { createHash, hkdfSync } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { decrypt, encrypt, NONCE_BYTES, TAG_BYTES } from "#base/cipher.ts";
import { messageOf } from "#base/errors.ts";
import { writeDurably } from "#base/files.ts";
import type { Log } from "#base/log.ts";
import type { Random } from "#base/random.ts";

export interface Vault {
  /** Undefined where nothing is kept, or what is there cannot be read. */
  read(name: string): string | undefined;
  /** On the disk before it returns; an equal text is not written again. */
  write(name: string, text: string): void;
  remove(name: string): void;
}

export interface VaultOptions {
  /** Made where it is missing, 0700. */
  dir: string;
  /** What the key is made from: any secret bytes that are as lasting as the texts. */
  secret: string;
  random: Random;
  log: Log;
  /** Texts kept at most; the one that was written longest ago goes first. */
  entriesMax: number;
}

const SUFFIX = ".sealed";

const digest = (text: string): string => createHash("sha256").update(text).digest("hex");

class FileVault implements Vault {
  readonly #options: VaultOptions;
  readonly #key: Uint8Array;
  /** Digest of each text on the disk, by file, so that equal ones cost no write. */
  readonly #digests = new Map<string, string>();

  constructor(options: VaultOptions) {
    this.#options = options;
    this.#key = new Uint8Array(hkdfSync("sha256", options.secret, "", "bramble node vault 1", 32));
    mkdirSync(options.dir, { recursive: true, mode: 0o700 });
    const files = readdirSync(options.dir).filter((file) => file.endsWith(SUFFIX));
    const ages = files.map((file) => ({ file, atMs: statSync(join(options.dir, file)).mtimeMs }));
    for (const { file } of ages.sort((a, b) => a.atMs - b.atMs)) this.#digests.set(file, "");
  }

  read(name: string): string | undefined {
    const file = this.#file(name);
    if (!this.#digests.has(file)) return undefined;
    try {
      const text = this.#open(name, readFileSync(join(this.#options.dir, file)));
      this.#digests.set(file, digest(text));
      return text;
    } catch (error) {
      this.#options.log.warn("a kept text cannot be read", { name, error: messageOf(error) });
      return undefined;
    }
  }

  write(name: string, text: string): void {
    const file = this.#file(name);
    const now = digest(text);
    const known = this.#digests.get(file);
    if (known === now || (known === "" && this.read(name) === text)) return;
    writeDurably(join(this.#options.dir, file), this.#seal(name, text));
    this.#digests.delete(file);
    this.#digests.set(file, now);
    const [oldest] = this.#digests.keys();
    if (this.#digests.size > this.#options.entriesMax && oldest !== undefined) this.#drop(oldest);
  }

  remove(name: string): void {
    this.#drop(this.#file(name));
  }

  #drop(file: string): void {
    if (!this.#digests.delete(file)) return;
    rmSync(join(this.#options.dir, file), { force: true });
  }

  /** Names are hashed with the key: they tell what Secrets there are. */
  #file(name: string): string {
    const hash = createHash("sha256").update(this.#key).update(name).digest("hex");
    return `${hash.slice(0, 32)}${SUFFIX}`;
  }

  #seal(name: string, text: string): Uint8Array {
    const fresh = this.#options.random.bytes(NONCE_BYTES);
    const { nonce, tag, body } = encrypt(this.#key, fresh, text, name);
    return Buffer.concat([nonce, tag, body]);
  }

  #open(name: string, bytes: Buffer): string {
    const box = {
      nonce: bytes.subarray(0, NONCE_BYTES),
      tag: bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES),
      body: bytes.subarray(NONCE_BYTES + TAG_BYTES),
    };
    return decrypt(this.#key, box, name).toString("utf8");
  }
}

export const openVault = (options: VaultOptions): Vault => new FileVault(options);
