/** bramble stop: ends a local cluster's pods and processes; its data stays. */
import type { VerbModule } from "#cli/verb.ts";
import { stopCluster } from "../local/cluster.ts";
import { checkProfile, DEFAULT_PROFILE, mustLoad } from "../local/profile.ts";
import { surroundings } from "../process.ts";

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-p, --profile <name>", "name of the cluster", DEFAULT_PROFILE)
    .action(async ({ profile }: { profile: string }) => {
      const around = surroundings({ logLevel: "warn", logFormat: "text" });
      const say = (text: string): void => io.out(`* ${text}\n`);
      await stopCluster(mustLoad(checkProfile(profile)), { around, env: io.env, say });
      io.out(`the cluster "${profile}" is stopped\n`);
    });
};
