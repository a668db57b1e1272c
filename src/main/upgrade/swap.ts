/** Another program in the place of the installed one, at once and whole, and back again. */
import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { KEPT, PROGRAM } from "./service.ts";

const PREVIOUS = join(KEPT, "bramble.previous");

function syncPath(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

/** `from` under the name `to`, on the disk before it returns; whoever runs the old one, goes on. */
function putWhole(from: string, to: string): void {
  copyFileSync(from, `${to}.new`);
  syncPath(`${to}.new`);
  renameSync(`${to}.new`, to);
  syncPath(dirname(to));
}

/** The one that is replaced is kept as `bramble.previous`. */
export function swapProgram(file: string): void {
  mkdirSync(KEPT, { recursive: true });
  rmSync(PREVIOUS, { force: true });
  try {
    linkSync(PROGRAM, PREVIOUS);
  } catch {
    // Another file system.
    copyFileSync(PROGRAM, PREVIOUS);
  }
  putWhole(file, PROGRAM);
}

export const swapBack = (): void => putWhole(PREVIOUS, PROGRAM);

const STATE = /^state\.db(?:-wal)?$/;

/** The state of a server that is stopped, beside it, for a version that cannot read a newer one. */
export function keepState(dataDir: string): void {
  const kept = join(dataDir, "before-upgrade");
  rmSync(kept, { recursive: true, force: true });
  mkdirSync(kept, { mode: 0o700 });
  for (const name of readdirSync(dataDir).filter((each) => STATE.test(each))) {
    copyFileSync(join(dataDir, name), join(kept, name));
    syncPath(join(kept, name));
  }
}

export function restoreState(dataDir: string): void {
  const kept = join(dataDir, "before-upgrade");
  if (!existsSync(kept)) return;
  const names = readdirSync(dataDir).filter((name) => name.startsWith("state.db"));
  for (const name of names) rmSync(join(dataDir, name));
  for (const name of readdirSync(kept)) copyFileSync(join(kept, name), join(dataDir, name));
}
