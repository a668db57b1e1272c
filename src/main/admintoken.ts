/**
 * The admin's token: made once, kept in a file of the data directory, and replaced while the server
 * runs. The one before is rejected from then on.
 */
import { join } from "node:path";
import type { TokenSource } from "#api/auth/authenticate.ts";
import type { UserInfo } from "#api/core.ts";
import { OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import type { Random } from "#base/random.ts";

export const ADMIN_FILE = "admin-token";
const ADMIN: UserInfo = { name: "bramble:admin", groups: ["system:masters"] };
const TOKEN_BYTES = 32;

export const newAdminToken = (random: Random): string =>
  Buffer.from(random.bytes(TOKEN_BYTES)).toString("base64url");

/** Undefined where there is none. */
export const readAdminToken = (dataDir: string): string | undefined =>
  readText(join(dataDir, ADMIN_FILE))?.trim() || undefined;

export function writeAdminToken(dataDir: string, token: string): void {
  writeDurably(join(dataDir, ADMIN_FILE), `${token}\n`);
}

/** Of a server that is the only one: others have theirs in etcd. @throws OperatorError */
export function replaceAdminToken(dataDir: string, random: Random): string {
  if (readAdminToken(dataDir) === undefined) {
    throw new OperatorError(`no server's ${ADMIN_FILE} in ${dataDir}`, {
      hint: "name the --data-dir of the server, on its machine",
    });
  }
  const token = newAdminToken(random);
  writeAdminToken(dataDir, token);
  return token;
}

export class AdminToken {
  readonly #dataDir: string;
  #known: ReadonlyMap<string, UserInfo>;
  #token: string;
  #replaced: () => void = () => undefined;

  constructor(dataDir: string, random: Random) {
    this.#dataDir = dataDir;
    let token = readAdminToken(dataDir);
    if (token === undefined) {
      token = newAdminToken(random);
      writeAdminToken(dataDir, token);
    }
    this.#token = token;
    this.#known = new Map([[token, ADMIN]]);
  }

  get token(): string {
    return this.#token;
  }

  get(token: string): UserInfo | undefined {
    return this.#known.get(token);
  }

  /** `then` is called after each replacement. */
  onReplaced(then: () => void): void {
    this.#replaced = then;
  }

  /** Takes over what the file holds now. */
  reread(): void {
    const token = readAdminToken(this.#dataDir);
    if (token === undefined || token === this.#token) return;
    this.#token = token;
    this.#known = new Map([[token, ADMIN]]);
    this.#replaced();
  }

  /** The file counts as soon as somebody shows a token that nobody knows. */
  readonly source: TokenSource = {
    name: "admin",
    identify: async (token) => {
      this.reread();
      const user = this.get(token);
      return user && { user };
    },
  };
}
