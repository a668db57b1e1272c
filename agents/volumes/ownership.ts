/** Applies fsGroup: the pod's group owns the volume and may read and write it. */
import type { Stats } from "node:fs";
import { chmod, chown, type FileHandle, lchown, lstat, readdir } from "node:fs/promises";
import { entryOf, held, holdEntry, openFolder, openRoot } from "#base/beneath.ts";
import { fileLimits } from "#base/filelimits.ts";

/** Owner and group read and write. New files in a folder get the folder's group (setgid). */
const FILE_BITS = 0o660;
const FOLDER_BITS = 0o2770;
/** Tells chown to keep the user. */
const SAME_USER = -1;

const isDevice = (stat: Stats): boolean => stat.isBlockDevice() || stat.isCharacterDevice();

/** Changes the file of the handle, even if its name now belongs to another file. */
async function give(handle: FileHandle, group: number, bits: number): Promise<void> {
  const stat = await handle.stat();
  if (isDevice(stat) || stat.isSymbolicLink()) return;
  const mode = stat.mode & 0o7777;
  if (stat.gid !== group) await chown(held(handle), SAME_USER, group);
  if ((mode | bits) !== mode) await chmod(held(handle), mode | bits);
}

async function closing(handle: FileHandle, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } finally {
    await handle.close();
  }
}

async function ownEntry(
  folder: FileHandle,
  name: string,
  group: number,
  depth: number,
): Promise<void> {
  const at = entryOf(folder, name);
  const stat = await lstat(at);
  if (stat.isDirectory()) {
    const inner = await openFolder(folder, name);
    await closing(inner, () => ownFolder(inner, group, depth + 1));
    return;
  }
  if (stat.isSymbolicLink()) return lchown(at, SAME_USER, group);
  const isRight = stat.gid === group && (stat.mode & FILE_BITS) === FILE_BITS;
  if (isRight || isDevice(stat)) return;
  const entry = await holdEntry(folder, name);
  await closing(entry, () => give(entry, group, FILE_BITS));
}

/** Keeps each folder on the path open, because containers may change the volume meanwhile. */
async function ownFolder(folder: FileHandle, group: number, depth: number): Promise<void> {
  if (depth > fileLimits.volumeDepthMax) {
    throw new Error(
      `fsGroup: the volume has more than ${fileLimits.volumeDepthMax} levels of nested folders`,
    );
  }
  await give(folder, group, FOLDER_BITS);
  for (const name of await readdir(held(folder))) {
    try {
      await ownEntry(folder, name, group, depth);
    } catch (error) {
      // The entry was removed or replaced by a link meanwhile. Links are not followed.
      const { code = "" } = error as NodeJS.ErrnoException;
      if (!["ENOENT", "ENOTDIR", "ELOOP"].includes(code)) throw error;
    }
  }
}

/** With the policy OnRootMismatch, a volume whose root has the right group is not changed. */
export async function setGroup(
  path: string,
  group: number,
  policy: string | undefined,
): Promise<void> {
  const root = await openRoot(path);
  await closing(root, async () => {
    const stat = await root.stat();
    const isRight = stat.gid === group && (stat.mode & FOLDER_BITS) === FOLDER_BITS;
    if (policy === "OnRootMismatch" && isRight) return;
    await ownFolder(root, group, 0);
  });
}
