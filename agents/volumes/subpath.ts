/**
 * Opens the subPath of a volume mount, safe against symlinks of a container. The path is resolved
 * and then walked again without following links. The opened handle is what gets mounted.
 */
import { existsSync, type Stats } from "node:fs";
import { chmod, type FileHandle, realpath } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { held, holdEntry, makeFolder, openRoot } from "#base/beneath.ts";

/** Returns the deepest existing part, resolved, and the missing names below it. */
async function resolveDeepest(path: string): Promise<{ real: string; missing: string[] }> {
  const missing: string[] = [];
  let current = path;
  while (!existsSync(current)) {
    missing.unshift(basename(current));
    current = dirname(current);
  }
  return { real: await realpath(current), missing };
}

/** Rejects links, devices and pipes, which must not be mounted as a file or folder. */
function mustBeFile(stat: Stats, subPath: string): void {
  if (stat.isDirectory() || stat.isFile() || stat.isSocket()) return;
  const what = stat.isSymbolicLink() ? "a link" : "a device or a pipe";
  throw new Error(`subPath "${subPath}" leads to ${what}, not to a file or a folder`);
}

async function walk(root: string, parts: readonly string[], subPath: string): Promise<FileHandle> {
  let handle = await openRoot(root);
  try {
    // New folders get the volume's own mode, so that whoever may write there may write here.
    const mode = (await handle.stat()).mode & 0o7777;
    for (const part of parts) {
      const made = await makeFolder(handle, part, 0o700);
      const next = await holdEntry(handle, part);
      await handle.close();
      handle = next;
      mustBeFile(await handle.stat(), subPath);
      if (made) await chmod(held(handle), mode);
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/**
 * Opens the entry `subPath` below `root` and creates missing folders. Throws if it leads outside.
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
  return walk(base, [...known, ...missing], subPath);
}
