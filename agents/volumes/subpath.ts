/**
 * subPath of a volume mount, safe against symlinks that a container plants: the path is resolved,
 * walked again without following any link, and the very folder or file that was opened is what gets
 * mounted.
 */
import { constants, existsSync } from "node:fs";
import { type FileHandle, mkdir, open, realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";

const STEP = constants.O_RDONLY | constants.O_NOFOLLOW;

/** The deepest part that is there, resolved, and what is missing below it. */
async function resolveDeepest(path: string): Promise<{ real: string; missing: string[] }> {
  const missing: string[] = [];
  let current = path;
  while (!existsSync(current)) {
    missing.unshift(basename(current));
    current = dirname(current);
  }
  return { real: await realpath(current), missing };
}

/** True where it was not there before. */
async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

async function walk(root: string, parts: readonly string[]): Promise<FileHandle> {
  let handle = await open(root, constants.O_RDONLY | constants.O_DIRECTORY);
  // New folders get the volume's own mode, so that whoever may write there may write here.
  const mode = (await handle.stat()).mode & 0o7777;
  for (const part of parts) {
    const below = `/proc/self/fd/${handle.fd}/${part}`;
    try {
      // A missing folder is made; a link put there meanwhile is refused by O_NOFOLLOW.
      const made = await makeFolder(below);
      const next = await open(below, STEP | constants.O_NONBLOCK);
      if (made) await next.chmod(mode);
      await handle.close();
      handle = next;
    } catch (error) {
      await handle.close();
      throw error;
    }
  }
  return handle;
}

/**
 * Opens what `subPath` names below `root`, making missing folders. Throws an Error outside of it.
 */
export async function openSubPath(root: string, subPath: string): Promise<FileHandle> {
  if (subPath.startsWith("/") || subPath.split("/").includes("..")) {
    throw new Error(`subPath "${subPath}" must be below the volume`);
  }
  const base = await realpath(root);
  const { real, missing } = await resolveDeepest(`${root}/${subPath}`);
  if (real !== base && !real.startsWith(`${base}/`)) {
    throw new Error(`subPath "${subPath}" leads outside of the volume`);
  }
  const known = real.slice(base.length).split("/").filter(Boolean);
  return walk(base, [...known, ...missing]);
}
