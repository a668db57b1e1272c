/** bramble backup FILE */
import { realRandom } from "#base/random.ts";
import type { VerbModule } from "#cli/verb.ts";
import { backUp } from "../backup.ts";
import { DEFAULT_DATA_DIR } from "../instance.ts";
import { readPassword } from "../password.ts";

interface BackupFlags {
  dataDir: string;
  passwordFile?: string;
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .argument("<file>", "where the backup is written")
    .option("--data-dir <dir>", "the server's data directory", DEFAULT_DATA_DIR)
    .option("--password-file <file>", "encrypt it with the password in this file")
    .action((file: string, flags: BackupFlags) => {
      const password = readPassword(flags.passwordFile);
      const { dataDir } = flags;
      const { objects } = backUp({ dataDir, file, password, random: realRandom, nowMs: io.now() });
      io.out(`${objects} objects and the cluster's keys are in ${file}\n`);
      if (password === undefined) {
        io.out("it holds all keys and Secrets as they are: keep it safe, or use --password-file\n");
      }
    });
};
