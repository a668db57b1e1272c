/**
 * Files below a folder that others write to, found one step at a time from a folder that is held
 * open (in the manner of openat2's RESOLVE_BENEATH). No link is followed, so what somebody puts in
 * the place of a folder meanwhile leads nowhere else. No device and no pipe is opened.
 */
import { constants } from "node:fs";
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { basename, dirname } from "node:path";

const { O_DIRECTORY, O_NOFOLLOW, O_RDONLY } = constants;
/** Of Linux: a hold on what has the name, which opens no device and waits for no pipe. */
const O_PATH = 0o10000000;

/** What is held, as a path that nobody can redirect. */
export const held = (handle: FileHandle): string => `/proc/self/fd/${handle.fd}`;

/** An entry of a held folder, for calls that follow no link at the end of a path. */
export function entryOf(folder: FileHandle, name: string): string {
  const isName = name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name);
  if (!isName) throw new Error(`${JSON.stringify(name)} is not the name of a file`);
  return `${held(folder)}/${name}`;
}

/** The folder that all else is below. Its own path is trusted, links included. */
export const openRoot = (path: string): Promise<FileHandle> => open(path, O_RDONLY | O_DIRECTORY);

/** Rejects for what is not a folder, a link to one included. */
export const openFolder = (folder: FileHandle, name: string): Promise<FileHandle> =>
  open(entryOf(folder, name), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);

/** Whatever has the name, a link itself included; for its state, and for calls by `held`. */
export const holdEntry = (folder: FileHandle, name: string): Promise<FileHandle> =>
  open(entryOf(folder, name), O_PATH | O_NOFOLLOW);

/** False where it is there already, whatever it is. */
export async function makeFolder(folder: FileHandle, name: string, mode: number): Promise<boolean> {
  try {
    await mkdir(entryOf(folder, name), { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** A regular file of a held folder. Rejects for links, folders, devices, pipes and sockets. */
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

/** A regular file by its path, whose folder is trusted and whose name is not. */
export async function openRegular(path: string, flags: number = O_RDONLY): Promise<FileHandle> {
  const folder = await openRoot(dirname(path));
  try {
    return await openFile(folder, basename(path), flags);
  } finally {
    await folder.close();
  }
}
