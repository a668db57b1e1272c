/**
 * Secrets of a data directory are for its owner alone. A copy, a restore by hand or an older
 * version may have left them otherwise: a start puts modes right, and ends where it cannot trust
 * what is there.
 */
import {
  closeSync,
  constants,
  existsSync,
  fchmodSync,
  lstatSync,
  openSync,
  readdirSync,
  realpathSync,
} from "node:fs";
import { join } from "node:path";
import { messageOf, OperatorError } from "#base/errors.ts";

const FOLDERS = ["pki", "node", "node/kept", "before-upgrade", "migrating", "restoring"];
/** Folders by whose names several of them are told apart. */
const NUMBERED = /^before-(migrate|restore)-/;
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const PERMISSIONS = 0o7777;

const ownUser = (): number => process.geteuid?.() ?? 0;

function assertOwn(path: string, uid: number): void {
  const own = ownUser();
  if (uid === own) return;
  throw new OperatorError(`${path} belongs to user ${uid}, and not to user ${own}`, {
    hint: `see who wrote it; if it is as it should be: chown ${own} ${path}`,
  });
}

/** Of what is at `path` itself: a link is an error, and is not followed. */
function repair(path: string, mode: number): void {
  const found = lstatSync(path);
  if (found.isSymbolicLink()) {
    throw new OperatorError(`${path} is a symbolic link`, {
      hint: "put the file or folder itself there",
    });
  }
  assertOwn(path, found.uid);
  if ((found.mode & PERMISSIONS) === mode) return;
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const file = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    fchmodSync(file, mode);
  } catch (cause) {
    throw new OperatorError(`${path} stays open to other users: ${messageOf(cause)}`, {
      cause,
      hint: "name a --data-dir on a file system that has owners and modes",
    });
  } finally {
    closeSync(file);
  }
}

function repairFiles(folder: string): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.isFile() || entry.isSymbolicLink()) repair(join(folder, entry.name), FILE_MODE);
  }
}

/**
 * The directory itself may be a link that its own user made, as to a larger disk.
 * @throws OperatorError for links inside of it, and for what belongs to somebody else.
 */
export function repairModes(dataDir: string): void {
  assertOwn(dataDir, lstatSync(dataDir).uid);
  const real = realpathSync(dataDir);
  repair(real, FOLDER_MODE);
  repairFiles(real);
  const numbered = readdirSync(real).filter((name) => NUMBERED.test(name));
  for (const name of [...FOLDERS, ...numbered]) {
    const folder = join(real, name);
    if (!existsSync(folder)) continue;
    repair(folder, FOLDER_MODE);
    repairFiles(folder);
  }
}
