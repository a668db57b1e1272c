/** Measures the disk use of a folder while containers change it. */
import { type FileHandle, lstat, readdir } from "node:fs/promises";
import { entryOf, held, openFolder, openRoot } from "#base/beneath.ts";
import { fileLimits } from "#base/filelimits.ts";

const BLOCK_BYTES = 512;

async function bytesIn(folder: FileHandle, depth: number): Promise<number> {
  // An infinite result makes the limit apply: deep nesting must not hide files from it.
  if (depth > fileLimits.volumeDepthMax) return Number.POSITIVE_INFINITY;
  let total = (await folder.stat()).blocks * BLOCK_BYTES;
  for (const name of await readdir(held(folder)).catch(() => [])) {
    const stat = await lstat(entryOf(folder, name)).catch(() => undefined);
    if (stat?.isDirectory() !== true) {
      total += (stat?.blocks ?? 0) * BLOCK_BYTES;
      continue;
    }
    const inner = await openFolder(folder, name).catch(() => undefined);
    if (inner === undefined) continue;
    try {
      total += await bytesIn(inner, depth + 1);
    } finally {
      await inner.close();
    }
  }
  return total;
}

/** Returns the disk use in bytes of a folder and all below it, or 0 if it is not a folder. */
export async function bytesBelow(path: string): Promise<number> {
  const root = await openRoot(path).catch(() => undefined);
  if (root === undefined) return 0;
  try {
    return await bytesIn(root, 0);
  } finally {
    await root.close();
  }
}
