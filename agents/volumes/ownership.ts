/** fsGroup: the pod's group owns the volume, may read and (where it is writable) write it. */
import { chmod, chown, lchown, lstat, readdir } from "node:fs/promises";

/** Owner and group read and write; folders keep the group for what is made in them. */
const FILE_BITS = 0o660;
const FOLDER_BITS = 0o2770;

async function own(path: string, group: number): Promise<void> {
  const stat = await lstat(path);
  if (stat.isSymbolicLink()) {
    await lchown(path, stat.uid, group);
    return;
  }
  if (stat.gid !== group) await chown(path, stat.uid, group);
  const mode = (stat.mode & 0o7777) | (stat.isDirectory() ? FOLDER_BITS : FILE_BITS);
  if (mode !== (stat.mode & 0o7777)) await chmod(path, mode);
  if (!stat.isDirectory()) return;
  for (const name of await readdir(path)) await own(`${path}/${name}`, group);
}

/** With policy OnRootMismatch a volume whose root is right already is left alone. */
export async function setGroup(
  path: string,
  group: number,
  policy: string | undefined,
): Promise<void> {
  if (policy === "OnRootMismatch") {
    const stat = await lstat(path);
    const right = stat.gid === group && (stat.mode & FOLDER_BITS) === FOLDER_BITS;
    if (right) return;
  }
  await own(path, group);
}
