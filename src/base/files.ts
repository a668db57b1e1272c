/** Files that survive a power cut whole: old content or new, never half and never empty. */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";

/** Most of what is written holds secrets. */
const MODE = 0o600;

/**
 * Replaces `path` by `content`, for its owner alone; on the disk before it returns. Blocks for the
 * time of a sync.
 */
export function writeDurably(path: string, content: string | Uint8Array): void {
  const temporary = `${path}.new`;
  // What is left of an earlier write may be open to others, or be a link to elsewhere.
  rmSync(temporary, { force: true });
  const file = openSync(temporary, "wx", MODE);
  try {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    // A disk that fills up takes a part without an error, and refuses the next.
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes.subarray(at));
    fdatasyncSync(file);
  } catch (error) {
    // On a full disk, half a file would only take room.
    rmSync(temporary, { force: true });
    throw error;
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** The text of a file; undefined where there is none. */
export function readText(path: string): string | undefined {
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
}
