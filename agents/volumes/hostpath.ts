/**
 * hostPath volumes: the checks of their type.
 * https://kubernetes.io/docs/concepts/storage/volumes/#hostpath
 */

import type { Stats } from "node:fs";
import { mkdir, stat, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

const CHECKS: Record<string, { word: string; is(stat: Stats): boolean }> = {
  Directory: { word: "a directory", is: (stat) => stat.isDirectory() },
  DirectoryOrCreate: { word: "a directory", is: (stat) => stat.isDirectory() },
  File: { word: "a file", is: (stat) => stat.isFile() },
  FileOrCreate: { word: "a file", is: (stat) => stat.isFile() },
  Socket: { word: "a socket file", is: (stat) => stat.isSocket() },
  CharDevice: { word: "a character device", is: (stat) => stat.isCharacterDevice() },
  BlockDevice: { word: "a block device", is: (stat) => stat.isBlockDevice() },
};

/** Throws an Error where the path is not what the type says; makes it where the type says so. */
export async function checkHostPath(path: string, type = ""): Promise<void> {
  if (type === "") return;
  const check = CHECKS[type];
  if (check === undefined) throw new Error(`unknown hostPath type ${type}`);
  let found = await stat(path).catch(() => undefined);
  if (found === undefined && type === "DirectoryOrCreate") {
    await mkdir(path, { recursive: true, mode: 0o755 });
    found = await stat(path);
  } else if (found === undefined && type === "FileOrCreate") {
    await stat(dirname(path));
    await writeFile(path, "", { mode: 0o644 });
    found = await stat(path);
  }
  if (found === undefined || !check.is(found)) {
    throw new Error(`hostPath type check failed: ${path} is not ${check.word}`);
  }
}
