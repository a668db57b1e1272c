/**
 * What the servers of one cluster have in common beside the datastore: its authorities, keys and
 * the admin's token. They lie in the datastore, sealed with a secret that only the servers know:
 * whoever reads the datastore alone learns nothing.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { encodeObject, termsOf } from "#api/codec.ts";
import { decrypt, encrypt, NONCE_BYTES, passwordKey } from "#base/cipher.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";
import { configMaps } from "#resources/kinds/configmap.ts";
import type { ConfigMap } from "#resources/types.gen.ts";
import { ConflictError, type Item, type Store } from "#store/store.ts";

/** Where they lie. */
export const SEALED_KEY = "core/configmaps/kube-system/bramble-servers";
const TOKEN_FILE = "server-token";
const PKI = "pki";
/** `encryption-keys` is there where Secrets are, or were, encrypted in a file. */
const PLAIN_FILES = ["admin-token", "encryption-keys"];
/** Each server's own: its names and addresses are in it. */
const OWN = /^server\./;

type Files = Record<string, string>;

export interface KeyParts {
  dataDir: string;
  /** What the operator gave; undefined: that of the last start, or a new one. */
  token: string | undefined;
  clock: Clock;
  random: Random;
}

export interface SealedParts extends KeyParts {
  store: Store;
}

export function seal(files: Files, token: string, random: Random): string {
  const salt = random.bytes(16);
  const text = JSON.stringify(files);
  const { nonce, tag, body } = encrypt(passwordKey(token, salt), random.bytes(NONCE_BYTES), text);
  return [salt, nonce, tag, body].map((part) => Buffer.from(part).toString("base64")).join(".");
}

/** Undefined when the token is another one. */
export function unseal(text: string, token: string): Files | undefined {
  const [salt, nonce, tag, body] = text.split(".").map((part) => Buffer.from(part, "base64"));
  if (!salt || !nonce || !tag || !body) return undefined;
  try {
    const plain = decrypt(passwordKey(token, salt), { nonce, tag, body });
    return JSON.parse(plain.toString("utf8"));
  } catch {
    return undefined;
  }
}

const dataOf = (item: Item | undefined): Record<string, string> =>
  item === undefined ? {} : ((JSON.parse(item.value) as ConfigMap).data ?? {});

function objectOf({ clock, random }: KeyParts, data: Record<string, string>) {
  return {
    kind: "ConfigMap",
    apiVersion: "v1",
    metadata: {
      name: "bramble-servers",
      namespace: "kube-system",
      uid: random.uuid(),
      creationTimestamp: `${new Date(clock.now()).toISOString().slice(0, 19)}Z`,
    },
    data,
  };
}

/** Sealed files, or who is about to make them. */
function write(parts: SealedParts, data: Record<string, string>, expect: number): Promise<Item> {
  const object = objectOf(parts, data);
  const { store } = parts;
  const terms = termsOf(configMaps, object);
  return store.write({ key: SEALED_KEY, value: encodeObject(object), terms, expect });
}

function tokenOf({ dataDir, token, random }: KeyParts, isFirst: boolean): string {
  const path = join(dataDir, TOKEN_FILE);
  const known = existsSync(path) ? readFileSync(path, "utf8").trim() : undefined;
  if (token !== undefined) return token;
  if (known !== undefined) return known;
  if (isFirst) return Buffer.from(random.bytes(24)).toString("base64url");
  throw new OperatorError("this datastore belongs to a cluster whose secret is not known here", {
    hint: `give --server-token with the text of DATA_DIR/${TOKEN_FILE} of one of its servers`,
  });
}

function keep({ dataDir }: KeyParts, token: string): void {
  writeDurably(join(dataDir, TOKEN_FILE), `${token}\n`, 0o600);
}

function open(parts: KeyParts, sealed: string): void {
  const { dataDir } = parts;
  const token = tokenOf(parts, false);
  const files = unseal(sealed, token);
  if (files === undefined) {
    throw new OperatorError("--server-token: not the one of this datastore's cluster", {
      hint: `it is in DATA_DIR/${TOKEN_FILE} of each of its servers`,
    });
  }
  const authority = join(dataDir, PKI, "ca.crt");
  if (existsSync(authority) && readFileSync(authority, "utf8") !== files[`${PKI}/ca.crt`]) {
    throw new OperatorError(`${dataDir} belongs to another cluster than the datastore`, {
      hint: "name another --data-dir, or another --etcd-prefix",
    });
  }
  for (const [name, text] of Object.entries(files)) {
    const path = join(dataDir, name);
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeDurably(path, text, 0o600);
  }
  keep(parts, token);
}

/** Who makes the cluster: the first one, or the next when that one did not finish. */
async function claim(parts: SealedParts): Promise<Item> {
  const { store, clock } = parts;
  for (;;) {
    const item = await store.get(SEALED_KEY);
    const { sealed, claimedAt } = dataOf(item);
    if (item !== undefined && sealed !== undefined) return item;
    const age = clock.now() - Date.parse(claimedAt ?? "");
    if (item === undefined || !(Math.abs(age) < limits.clusterClaimMs)) {
      const mine = { claimedAt: new Date(clock.now()).toISOString() };
      try {
        return await write(parts, mine, item?.revision ?? 0);
      } catch (error) {
        if (!(error instanceof ConflictError)) throw error;
      }
    }
    await sleep(clock, limits.clusterClaimMs / 30);
  }
}

function common(dataDir: string): Files {
  const names = readdirSync(join(dataDir, PKI)).filter((name) => !OWN.test(name));
  const plain = PLAIN_FILES.filter((name) => existsSync(join(dataDir, name)));
  const paths = [...names.map((name) => `${PKI}/${name}`), ...plain];
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(dataDir, path), "utf8")]));
}

/**
 * Before the authorities are opened: takes over those of the cluster. Answers what is to be done
 * once they are there: the first server seals its own.
 *
 * @throws OperatorError for a token that is missing or wrong, and for another cluster's directory.
 */
export async function takeOver(parts: SealedParts): Promise<() => Promise<void>> {
  const item = await claim(parts);
  const { sealed } = dataOf(item);
  if (sealed !== undefined) {
    open(parts, sealed);
    return async () => {};
  }
  return async () => {
    const token = tokenOf(parts, true);
    keep(parts, token);
    const text = seal(common(parts.dataDir), token, parts.random);
    await write(parts, { sealed: text }, item.revision);
  };
}

/** The text to store under `SEALED_KEY` where a cluster that lived here comes to others. */
export function sealedObject(parts: KeyParts): string {
  const token = tokenOf(parts, true);
  keep(parts, token);
  return encodeObject(
    objectOf(parts, { sealed: seal(common(parts.dataDir), token, parts.random) }),
  );
}

/** Makes this directory the cluster's: from the stored text of `SEALED_KEY`. As `takeOver`. */
export function openSealed(parts: KeyParts, text: string): void {
  const { sealed } = (JSON.parse(text) as ConfigMap).data ?? {};
  if (sealed === undefined) throw new OperatorError("the cluster's keys are not in the datastore");
  open(parts, sealed);
}
