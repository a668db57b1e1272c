/**
 * What the servers of one cluster have in common beside the datastore: its authorities, keys and
 * the admin's token. They lie in the datastore, sealed with a secret that only the servers know:
 * whoever reads the datastore alone learns nothing.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { encodeObject } from "#api/codec.ts";
import { decrypt, encrypt, NONCE_BYTES, passwordKey } from "#base/cipher.ts";
import { type Clock, sleep } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { readText, writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";
import { addKey, type SealKey } from "#base/sealer.ts";
import type { ConfigMap } from "#resources/types.gen.ts";
import type { EtcdKeys } from "#store/etcd/keys.ts";
import { SERVER_KEYS } from "#store/etcd/place.ts";
import { ADMIN_FILE, newAdminToken, writeAdminToken } from "./admintoken.ts";

const TOKEN_FILE = "server-token";
const PKI = "pki";
/** There where Secrets are, or were, encrypted. */
const KEYS_FILE = "encryption-keys";
const PLAIN_FILES = [ADMIN_FILE, KEYS_FILE];
/** Each server's own: its names and addresses are in it. */
const OWN = /^server\./;

const SUPERSEDED =
  "other servers changed the cluster's keys at the same time: start this one again";
const NO_KEYS = "the cluster's keys are not in the datastore";

type Files = Record<string, string>;

export interface KeyParts {
  dataDir: string;
  /** What the operator gave; undefined: that of the last start, or a new one. */
  token: string | undefined;
  clock: Clock;
  random: Random;
}

export interface SealedParts extends KeyParts {
  keys: EtcdKeys;
  /** etcd's own revision of the place that is taken. */
  placeAt: number;
  /** Secrets are to be encrypted. */
  encrypt: boolean;
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

const dataOf = (value: string | undefined): Record<string, string> =>
  value === undefined ? {} : ((JSON.parse(value) as ConfigMap).data ?? {});

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

interface Put {
  /** As it stands in etcd. */
  readonly text: string;
  readonly revision: number;
}

/** Puts sealed files, or who is about to make them. Undefined where somebody else was faster. */
async function put(
  parts: SealedParts,
  data: Record<string, string>,
  expect: number,
): Promise<Put | undefined> {
  const text = encodeObject(objectOf(parts, data));
  const value = { key: SERVER_KEYS, value: text };
  const revision = await parts.keys.put(value, expect, parts.placeAt);
  return revision === undefined ? undefined : { text, revision };
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
  writeDurably(join(dataDir, TOKEN_FILE), `${token}\n`);
}

/** Answers the files, which lie in the directory now. */
function open(parts: KeyParts, sealed: string): Files {
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
    writeDurably(path, text);
  }
  keep(parts, token);
  return files;
}

interface Claimed extends Put {
  /** Undefined: this server is to make them. */
  readonly sealed: string | undefined;
}

/** Who makes the cluster: the first one, or the next when that one did not finish. */
async function claim(parts: SealedParts): Promise<Claimed> {
  const { keys, clock } = parts;
  const end = clock.monotonic() + 2 * limits.clusterClaimMs;
  while (clock.monotonic() < end) {
    const found = await keys.get(SERVER_KEYS);
    const { sealed, claimedAt } = dataOf(found?.value);
    if (found !== undefined && sealed !== undefined) {
      return { sealed, text: found.value, revision: found.modRevision };
    }
    const age = clock.now() - Date.parse(claimedAt ?? "");
    if (found === undefined || !(Math.abs(age) < limits.clusterClaimMs)) {
      const mine = { claimedAt: new Date(clock.now()).toISOString() };
      const done = await put(parts, mine, found?.modRevision ?? 0);
      if (done !== undefined) return { sealed: undefined, ...done };
    }
    await sleep(clock, limits.clusterClaimMs / 30);
  }
  throw new OperatorError(SUPERSEDED);
}

function common(dataDir: string): Files {
  const names = readdirSync(join(dataDir, PKI)).filter((name) => !OWN.test(name));
  const plain = PLAIN_FILES.filter((name) => existsSync(join(dataDir, name)));
  const paths = [...names.map((name) => `${PKI}/${name}`), ...plain];
  return Object.fromEntries(paths.map((path) => [path, readFileSync(join(dataDir, path), "utf8")]));
}

/**
 * Before the authorities and the datastore are opened: takes over those of the cluster. Answers
 * what is to be done once the authorities are there: the first server seals its own. That answers
 * the text in etcd which this directory is as new as.
 *
 * @throws OperatorError for a token that is missing or wrong, and for another cluster's directory.
 */
export async function takeOver(parts: SealedParts): Promise<() => Promise<string>> {
  for (let tries = 0; tries < limits.writeRetriesMax; tries++) {
    const { sealed, text, revision } = await claim(parts);
    if (sealed === undefined) return () => sealOwn(parts, revision);
    const files = open(parts, sealed);
    if (!parts.encrypt || files[KEYS_FILE] !== undefined) return async () => text;
    const added = await addKeyTo(parts, files, revision);
    if (added !== undefined) return async () => added.text;
  }
  throw new OperatorError(SUPERSEDED);
}

async function sealOwn(parts: SealedParts, revision: number): Promise<string> {
  const { dataDir, random, encrypt } = parts;
  const token = tokenOf(parts, true);
  keep(parts, token);
  const keyFile = join(dataDir, KEYS_FILE);
  if (encrypt && !existsSync(keyFile)) addKey(keyFile, random);
  const sealed = seal(common(dataDir), token, random);
  const done = await put(parts, { sealed }, revision);
  if (done === undefined) throw new OperatorError(SUPERSEDED);
  return done.text;
}

/** With the new key; undefined where somebody else was faster: then it is in no file. */
async function addKeyTo(
  parts: SealedParts,
  files: Files,
  revision: number,
): Promise<{ text: string; key: SealKey | undefined } | undefined> {
  const { dataDir, random } = parts;
  const path = join(dataDir, KEYS_FILE);
  const [key] = addKey(path, random);
  const all = { ...files, [KEYS_FILE]: readFileSync(path, "utf8") };
  const sealed = seal(all, tokenOf(parts, false), random);
  const done = await put(parts, { sealed }, revision);
  if (done !== undefined) return { text: done.text, key };
  rmSync(path);
  return undefined;
}

/** What is sealed now, in this directory too. @throws OperatorError */
async function openNow(parts: SealedParts): Promise<{ files: Files; revision: number }> {
  const found = await parts.keys.get(SERVER_KEYS);
  const { sealed } = dataOf(found?.value);
  if (found === undefined || sealed === undefined) throw new OperatorError(NO_KEYS);
  return { files: open(parts, sealed), revision: found.modRevision };
}

/** A new key for Secrets, before the others; servers that run seal with it from now on. */
export async function rotateKey(parts: SealedParts): Promise<SealKey> {
  for (let tries = 0; tries < limits.writeRetriesMax; tries++) {
    const { files, revision } = await openNow(parts);
    if (files[KEYS_FILE] === undefined) {
      throw new OperatorError("Secrets are not encrypted", {
        hint: "start the servers with --encrypt-secrets",
      });
    }
    const added = await addKeyTo(parts, files, revision);
    if (added?.key !== undefined) return added.key;
  }
  throw new OperatorError(SUPERSEDED);
}

/** A new token for the admin, of all servers. @throws OperatorError */
export async function rotateAdmin(parts: SealedParts): Promise<string> {
  const { dataDir, random } = parts;
  for (let tries = 0; tries < limits.writeRetriesMax; tries++) {
    const { files, revision } = await openNow(parts);
    const token = newAdminToken(random);
    const all = { ...files, [ADMIN_FILE]: `${token}\n` };
    const sealed = seal(all, tokenOf(parts, false), random);
    if ((await put(parts, { sealed }, revision)) === undefined) continue;
    writeAdminToken(dataDir, token);
    return token;
  }
  throw new OperatorError(SUPERSEDED);
}

/** What changed in `SERVER_KEYS` comes into this server's files. @throws Error */
export function learnKeys(dataDir: string, text: string): void {
  const { sealed } = dataOf(text);
  if (sealed === undefined) return;
  const token = readFileSync(join(dataDir, TOKEN_FILE), "utf8").trim();
  const files = unseal(sealed, token);
  if (files === undefined) throw new Error("they are sealed with another server token");
  for (const name of PLAIN_FILES) {
    const path = join(dataDir, name);
    const found = files[name];
    if (found !== undefined && found !== readText(path)) writeDurably(path, found);
  }
}

/** The text to store under `SERVER_KEYS` where a cluster that lived here comes to others. */
export function sealedObject(parts: KeyParts): string {
  const token = tokenOf(parts, true);
  keep(parts, token);
  return encodeObject(
    objectOf(parts, { sealed: seal(common(parts.dataDir), token, parts.random) }),
  );
}

/** Makes this directory the cluster's: from the stored text of `SERVER_KEYS`. As `takeOver`. */
export function openSealed(parts: KeyParts, text: string): void {
  const { sealed } = dataOf(text);
  if (sealed === undefined) throw new OperatorError(NO_KEYS);
  open(parts, sealed);
}
