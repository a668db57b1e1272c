/** bramble restore FILE */
import type { VerbModule } from "#cli/verb.ts";
import { restore } from "../backup.ts";
import { DEFAULT_DATA_DIR } from "../instance.ts";
import { readPassword } from "../password.ts";

interface RestoreFlags {
  dataDir: string;
  passwordFile?: string;
  force?: boolean;
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .argument("<file>", "a backup that bramble made")
    .option("--data-dir <dir>", "the data directory to restore into", DEFAULT_DATA_DIR)
    .option("--password-file <file>", "the password that it was encrypted with")
    .option("--force", "set a cluster that is there aside")
    .action((file: string, flags: RestoreFlags) => {
      const password = readPassword(flags.passwordFile);
      const { dataDir, force = false } = flags;
      const about = restore({ dataDir, file, password, force, nowMs: io.now() });
      io.out(`${about.objects} objects of ${about.createdAt} are in ${dataDir}\n`);
    });
};
