/**
 * Opens files below a folder that containers can write to. Each step starts from an open handle and
 * follows no link, like openat2 with RESOLVE_BENEATH, so a replaced folder cannot redirect it.
 * Devices and pipes are never opened.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { basename, dirname } from "node:path";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Linux flag: the handle identifies the file but does not open a device or wait for a pipe. */
const O_PATH = 0o10000000;

/** Returns a path to the file of an open handle. A rename does not change where it leads. */
export const held = (handle: FileHandle): string => `/proc/self/fd/${handle.fd}`;

/** Returns the path of an entry. Use it only in calls that do not follow a final link. */
export function entryOf(folder: FileHandle, name: string): string {
  const isName = name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
  if (!isName) throw new Error(`${JSON.stringify(name)} is not the name of a file`);
  return `${held(folder)}/${name}`;
}

/** Opens the root folder. Its own path is trusted and may contain links. */
export const openRoot = (path: string): Promise<FileHandle> => open(path, O_RDONLY | O_DIRECTORY);

/** Opens a folder of a folder. Rejects anything else, links to folders included. */
export const openFolder = (folder: FileHandle, name: string): Promise<FileHandle> =>
  open(entryOf(folder, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

/** Opens any kind of entry, or the link itself, for `stat` and for calls with `held`. */
export const holdEntry = (folder: FileHandle, name: string): Promise<FileHandle> =>
  open(entryOf(folder, name), O_PATH | O_NOFOLLOW);

/** Creates a folder. Returns false if an entry with this name exists, whatever its kind. */
export async function makeFolder(folder: FileHandle, name: string, mode: number): Promise<boolean> {
  try {
    await mkdir(entryOf(folder, name), { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Opens a regular file. Rejects links, folders, devices, pipes and sockets. */
export async function openFile(
  folder: FileHandle,
  name: string,
  flags: number = O_RDONLY,
): Promise<FileHandle> {
  const entry = await holdEntry(folder, name);
  try {
    if ((await entry.stat()).isFile()) return await open(held(entry), flags);
    throw new Error(`${name} is not a regular file`);
  } finally {
    await entry.close();
  }
}

/** Opens a regular file by its path. The folder of the path is trusted, the name is not. */
export async function openRegular(path: string, flags: number = O_RDONLY): Promise<FileHandle> {
  const folder = await openRoot(dirname(path));
  try {
    return await openFile(folder, basename(path), flags);
  } finally {
    await folder.close();
  }
}
