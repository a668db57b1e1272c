/**
 * Writes a set of files so that a reader sees the old set or the new one, never a mixture: the
 * files are in a folder of their own, `..data` leads to it, and the names lead through `..data`
 * (Kubernetes' layout).
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

export interface PayloadFile {
  data: Uint8Array;
  mode: number;
  uid?: number;
}

/** By path below the volume: `key`, `folder/key`. */
export type Payload = ReadonlyMap<string, PayloadFile>;

export interface PayloadOwner {
  /** The pod's fsGroup: it may read every file. */
  group: number | undefined;
  /** Makes the folder's name unlike the last one's. */
  stamp: string;
}

const DATA = "..data";
const DATA_NEW = "..data_tmp";

function sameFile(path: string, file: PayloadFile): boolean {
  try {
    const stat = lstatSync(path);
    if (!stat.isFile() || (stat.mode & 0o7777) !== file.mode) return false;
    return Buffer.compare(readFileSync(path), file.data) === 0;
  } catch {
    return false;
  }
}

function listFiles(directory: string, prefix = ""): string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory()) return listFiles(`${directory}/${entry.name}`, `${path}/`);
    return [path];
  });
}

/** With a group, owner and group may read: the mode that is on the disk in the end. */
const effectiveMode = (mode: number, group: number | undefined): number =>
  group === undefined ? mode : mode | 0o440;

function unchanged(directory: string, payload: Payload, group: number | undefined): boolean {
  const current = `${directory}/${DATA}`;
  const folder = folderOf(directory);
  if (folder === undefined || !existsSync(current)) return false;
  const names = listFiles(`${directory}/${folder}`);
  if (names.length !== payload.size) return false;
  return [...payload].every(([path, file]) => {
    const wanted = { ...file, mode: effectiveMode(file.mode, group) };
    return sameFile(`${current}/${path}`, wanted);
  });
}

/** The folder that `..data` leads to; undefined for what is not one of ours. */
function folderOf(directory: string): string | undefined {
  const link = `${directory}/${DATA}`;
  const isLink = lstatSync(link, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  const name = isLink ? readlinkSync(link) : "";
  const isOurs = name.startsWith("..") && name !== ".." && !name.includes("/");
  return isOurs && lstatSync(`${directory}/${name}`, { throwIfNoEntry: false })?.isDirectory()
    ? name
    : undefined;
}

function makeFolder(path: string, group: number | undefined): void {
  mkdirSync(path, { recursive: true });
  if (!lstatSync(path).isDirectory()) throw new Error(`${path} is not a folder`);
  chmodSync(path, group === undefined ? 0o755 : 0o2755);
  if (group !== undefined) chownSync(path, 0, group);
}

function writeFiles(folder: string, payload: Payload, owner: PayloadOwner): void {
  makeFolder(folder, owner.group);
  for (const [path, file] of payload) {
    const target = `${folder}/${path}`;
    const parent = dirname(target);
    if (!existsSync(parent)) makeFolder(parent, owner.group);
    writeFileSync(target, file.data, { flag: "wx" });
    if (file.uid !== undefined || owner.group !== undefined) {
      chownSync(target, file.uid ?? 0, owner.group ?? 0);
    }
    chmodSync(target, effectiveMode(file.mode, owner.group));
  }
}

const firstPart = (path: string): string => path.split("/", 1)[0] ?? path;

/** Names that a reader sees; each leads through `..data`. */
function linkNames(directory: string, payload: Payload): void {
  const wanted = new Set([...payload.keys()].map(firstPart));
  for (const name of readdirSync(directory)) {
    if (!name.startsWith("..") && !wanted.has(name))
      rmSync(`${directory}/${name}`, { force: true });
  }
  for (const name of wanted) {
    const link = `${directory}/${name}`;
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) {
      symlinkSync(`${DATA}/${name}`, link);
    }
  }
}

/** Returns false where the files were as wanted already. */
export function writePayload(directory: string, payload: Payload, owner: PayloadOwner): boolean {
  mkdirSync(directory, { recursive: true });
  if (!lstatSync(directory).isDirectory()) throw new Error(`${directory} is not a folder`);
  if (unchanged(directory, payload, owner.group)) {
    linkNames(directory, payload);
    return false;
  }
  makeFolder(directory, owner.group);
  const current = `${directory}/${DATA}`;
  const before = folderOf(directory);
  const folder = `..${owner.stamp}`;
  rmSync(`${directory}/${folder}`, { recursive: true, force: true });
  writeFiles(`${directory}/${folder}`, payload, owner);
  rmSync(`${directory}/${DATA_NEW}`, { force: true });
  symlinkSync(folder, `${directory}/${DATA_NEW}`);
  renameSync(`${directory}/${DATA_NEW}`, current);
  linkNames(directory, payload);
  for (const name of readdirSync(directory)) {
    const stale = name.startsWith("..") && name !== DATA && name !== folder;
    if (stale || name === before) rmSync(`${directory}/${name}`, { recursive: true, force: true });
  }
  return true;
}
