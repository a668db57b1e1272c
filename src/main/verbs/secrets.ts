/** bramble secrets rotate-key: new Secrets, and all that are there, are sealed with a new key. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { realClock } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import { realRandom } from "#base/random.ts";
import { addKey, readKeys } from "#base/sealer.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { lockDataDir } from "#store/lock.ts";
import { isShared } from "../datastore.ts";
import { keyFileOf, openSealedDisk } from "../encryption.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { surroundings } from "../process.ts";
import { rotateKey } from "../sealed.ts";
import { loadServerSettings, type ServerSettings, serverShape } from "../settings.ts";
import { withSharedKeys } from "../sharedkeys.ts";

/** The lock of the data directory; undefined while a server runs on it. */
function tryLock(dataDir: string) {
  try {
    return lockDataDir(dataDir);
  } catch (error) {
    if (error instanceof OperatorError && error.message.includes("uses the data dir")) return;
    throw error;
  }
}

/** Of servers that share an etcd: the keys lie there. */
async function rotateShared(settings: ServerSettings, io: CliIo): Promise<void> {
  const around = { clock: realClock, random: realRandom };
  const { id } = await withSharedKeys(settings, around, rotateKey);
  io.out(`added key ${id} to those of all servers: they seal with it from now on\n`);
  io.out("a server that is started again rewrites what is there\n");
}

function rotate(settings: ServerSettings, io: CliIo): void {
  const keyFile = keyFileOf(settings);
  const database = join(settings.dataDir, "state.db");
  if (!existsSync(database)) throw new OperatorError(`no datastore in ${settings.dataDir}`);
  if (readKeys(keyFile) === undefined) {
    throw new OperatorError(`there is no key file ${keyFile}: Secrets are not encrypted`, {
      hint: "start the server with --encrypt-secrets",
    });
  }
  const lock = tryLock(settings.dataDir);
  try {
    const [key] = addKey(keyFile, realRandom);
    io.out(`added key ${key?.id} to ${keyFile}; older keys stay in it for older backups\n`);
    if (lock === undefined) {
      io.out("the server is running: it rewrites all Secrets when it is started again\n");
      return;
    }
    const { log } = surroundings({ logLevel: "warn", logFormat: "text" });
    const options = { ...settings, encryptSecrets: true };
    openSealedDisk(database, options, { log, random: realRandom }).close();
    io.out("all Secrets are encrypted with it\n");
  } finally {
    lock?.release();
  }
}

export const define: VerbModule["define"] = (command, io) => {
  const sub = command
    .command("rotate-key")
    .description("encrypt the datastore's Secrets with a new key, at once or at the next start");
  addFlags(sub, serverShape);
  sub.action(async (options: Record<string, unknown>) => {
    const settings = loadServerSettings(sourcesOf(options, io.env));
    await (isShared(settings) ? rotateShared(settings, io) : rotate(settings, io));
  });
};
