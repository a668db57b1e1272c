/**
 * All that makes a server this cluster's: objects, certificates and keys, the admin's token. Taken
 * while the server runs, taken back while it does not.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf, OperatorError } from "#base/errors.ts";
import { writeDurably } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";
import { copyDatastore, takeBack } from "#store/copy.ts";
import { lockDataDir } from "#store/lock.ts";
import { type About, type ArchivedFile, pack, unpack } from "./archive.ts";
import { version } from "./version.ts";

const STATE = "state.db";
const PKI = "pki";
/** `encryption-keys` is there where Secrets are encrypted in the datastore. */
const PLAIN_FILES = ["admin-token", "encryption-keys"];

const PKI_FILE = /^pki\/[A-Za-z0-9][A-Za-z0-9._-]{0,100}$/;

export interface BackupOptions {
  dataDir: string;
  file: string;
  password: string | undefined;
  random: Random;
  nowMs: number;
}

function secretFiles(dataDir: string): ArchivedFile[] {
  const pki = readdirSync(join(dataDir, PKI)).filter((name) => !name.endsWith(".new"));
  const plain = PLAIN_FILES.filter((name) => existsSync(join(dataDir, name)));
  const paths = [...plain, ...pki.map((name) => join(PKI, name))];
  return paths.map((path) => ({ path, bytes: readFileSync(join(dataDir, path)) }));
}

/** On the disk, whole, when it returns. */
export function backUp(options: BackupOptions): About {
  const { dataDir, file, password, random, nowMs } = options;
  if (!existsSync(join(dataDir, STATE))) {
    throw new OperatorError(`there is no server's state in ${dataDir}`, {
      hint: "a backup is made where the server runs: name its --data-dir (etcd has snapshots)",
    });
  }
  const copy = join(dataDir, `backup-${random.uuid()}.db`);
  try {
    const { objects } = copyDatastore(join(dataDir, STATE), copy);
    const files = [...secretFiles(dataDir), { path: STATE, bytes: readFileSync(copy) }];
    const about = { version, createdAt: new Date(nowMs).toISOString(), objects };
    writeDurably(file, pack(files, about, { password, random }));
    return about;
  } catch (cause) {
    if (cause instanceof OperatorError) throw cause;
    throw new OperatorError(`no backup was made: ${messageOf(cause)}`, { cause });
  } finally {
    rmSync(copy, { force: true });
  }
}

/** A damaged or forged backup must not write anywhere else. */
function isOurs(path: string): boolean {
  return path === STATE || PLAIN_FILES.includes(path) || PKI_FILE.test(path);
}

/** What stood here before stays beside it. */
function setAside(dataDir: string, name: string): void {
  const names = [STATE, `${STATE}-wal`, `${STATE}-shm`, PKI, ...PLAIN_FILES];
  for (const each of names.filter((one) => existsSync(join(dataDir, one)))) {
    mkdirSync(join(dataDir, name), { recursive: true, mode: 0o700 });
    renameSync(join(dataDir, each), join(dataDir, name, each));
  }
}

export interface RestoreOptions {
  dataDir: string;
  file: string;
  password: string | undefined;
  /** Goes on where there is state already, which is set aside. */
  force: boolean;
  nowMs: number;
}

/** Rejects devices and pipes, because their size is unknown. */
function readBackup(file: string): Buffer {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (!stat?.isFile()) throw new OperatorError(`no file ${file}`);
  if (stat.size > limits.backupBytesMax) {
    throw new OperatorError(`${file} is larger than a backup can be`);
  }
  return readFileSync(file);
}

/** Nothing is changed before the whole backup was found good. */
export function restore(options: RestoreOptions): About {
  const { dataDir, file, password, force, nowMs } = options;
  const { files, about } = unpack(readBackup(file), password);
  const stranger = files.find(({ path }) => !isOurs(path));
  if (stranger !== undefined || !files.some(({ path }) => path === STATE)) {
    throw new OperatorError("the backup is damaged: its files are not those of a server");
  }
  const lock = lockDataDir(dataDir);
  const fresh = join(dataDir, "restoring");
  try {
    if (existsSync(join(dataDir, STATE)) && !force) {
      throw new OperatorError(`there is a cluster in ${dataDir} already`, {
        hint: "with --force it is set aside, in before-restore-… beside the new one",
      });
    }
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(join(fresh, PKI), { recursive: true, mode: 0o700 });
    for (const { path, bytes } of files) writeDurably(join(fresh, path), bytes);
    takeBack(join(fresh, STATE));
    setAside(dataDir, `before-restore-${nowMs}`);
    // The state comes last: without it this is not taken for a cluster.
    for (const name of [...PLAIN_FILES, PKI, STATE]) {
      if (existsSync(join(fresh, name))) renameSync(join(fresh, name), join(dataDir, name));
    }
    return about;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
    lock.release();
  }
}
