/** The end of a migration that is a file: what is read from a copy of it, what is made anew. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { OperatorError } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Random } from "#base/random.ts";
import { isSealed, readKeys, ValueSealer } from "#base/sealer.ts";
import { copyDatastore, markMigration } from "#store/copy.ts";
import { type Disk, openDisk, type Row } from "#store/disk.ts";
import { keyFileOf } from "../encryption.ts";
import type { ServerSettings } from "../settings.ts";
import type { Moved } from "./check.ts";

export type FileSettings = Pick<ServerSettings, "dataDir" | "encryptSecrets" | "encryptionKeyFile">;

type Sealed = Pick<Moved, "key" | "value">;

const STATE = "state.db";
const NO_TERMS = { labels: {}, fields: {} };

export const stateFile = (dataDir: string): string => join(dataDir, STATE);

/** Where a migration works; nothing in it is of use to another one. */
const workDir = (dataDir: string): string => join(dataDir, "migrating");

export function emptyWorkDir(dataDir: string): string {
  dropWorkDir(dataDir);
  mkdirSync(workDir(dataDir), { recursive: true, mode: 0o700 });
  return join(workDir(dataDir), STATE);
}

export const dropWorkDir = (dataDir: string): void =>
  rmSync(workDir(dataDir), { recursive: true, force: true });

/** Opens values of Secrets that are sealed, with the keys that are there now. */
export function opener(settings: FileSettings, random: Random): (object: Sealed) => string {
  const keyFile = keyFileOf(settings);
  const sealer = new ValueSealer(readKeys(keyFile) ?? [], random, undefined);
  return ({ key, value }) => {
    try {
      return isSealed(value) ? sealer.open(key, value) : value;
    } catch (cause) {
      throw new OperatorError(`cannot decrypt ${key} with the keys in ${keyFile}`, {
        hint: "give the key file that it was encrypted with by --encryption-key-file",
        cause,
      });
    }
  };
}

function* opened(disk: Disk, settings: FileSettings, random: Random): Generator<Moved> {
  const open = opener(settings, random);
  for (const { key, value, revision } of disk.load()) {
    yield { key, revision, value: open({ key, value }) };
  }
}

/** All objects of a datastore that no server uses; the file itself is not opened but copied. */
export function readFrom(settings: FileSettings, random: Random): Moved[] {
  const copy = emptyWorkDir(settings.dataDir);
  copyDatastore(stateFile(settings.dataDir), copy);
  return readWhole(copy, settings, random);
}

export function readWhole(path: string, settings: FileSettings, random: Random): Moved[] {
  const disk = openDisk(path);
  try {
    return [...opened(disk, settings, random)];
  } finally {
    disk.close();
  }
}

/** A new datastore with these objects, on the disk when this resolves. */
export async function writeWhole(
  path: string,
  objects: AsyncIterable<Moved>,
  end: { ceiling: () => number; migration: number; seal: (object: Moved) => string },
): Promise<void> {
  const disk = openDisk(path);
  try {
    let rows: Row[] = [];
    let id = 0;
    for await (const object of objects) {
      const { key, revision } = object;
      rows.push({ id: ++id, item: { key, revision, value: end.seal(object), terms: NO_TERMS } });
      if (rows.length < limits.migrationBatchMax) continue;
      disk.commit(rows, 0);
      rows = [];
    }
    disk.commit(rows, Math.max(id, end.ceiling()));
    disk.mend();
  } finally {
    disk.close();
  }
  markMigration(path, end.migration);
}

/** What stands in the file's place; answers where it is now. */
export function setAside(dataDir: string, nowMs: number): string {
  const aside = join(dataDir, `before-migrate-${nowMs}`);
  mkdirSync(aside, { recursive: true, mode: 0o700 });
  for (const name of [STATE, `${STATE}-wal`, `${STATE}-shm`]) {
    const path = join(dataDir, name);
    if (existsSync(path)) renameSync(path, join(aside, name));
  }
  return aside;
}
