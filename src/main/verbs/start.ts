/** bramble start: a local cluster in one word. */
import { OperatorError, UsageError } from "#base/errors.ts";
import type { VerbModule } from "#cli/verb.ts";
import { startCluster } from "../local/cluster.ts";
import { checkProfile, DEFAULT_PROFILE } from "../local/profile.ts";
import { surroundings } from "../process.ts";

const NODES_MAX = 20;

interface StartOptions {
  profile: string;
  nodes?: string;
  containerdAddress?: string;
}

function nodesOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= NODES_MAX) return count;
  throw new UsageError(`--nodes: "${text}" must be a number from 1 to ${NODES_MAX}`);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-p, --profile <name>", "name of the cluster", DEFAULT_PROFILE)
    .option("-n, --nodes <count>", "nodes, each in a network of its own (default: 1)")
    .option("--containerd-address <socket>", "use this containerd (default: the machine's own)")
    .action(async (options: StartOptions) => {
      if (process.getuid?.() !== 0) {
        throw new OperatorError("a cluster must run as root", { hint: "use sudo" });
      }
      const wanted = {
        name: checkProfile(options.profile),
        nodes: nodesOf(options.nodes),
        containerd: options.containerdAddress,
      };
      const around = surroundings({ logLevel: "warn", logFormat: "text" });
      const say = (text: string): void => io.out(`* ${text}\n`);
      await startCluster(wanted, { around, env: io.env, say });
    });
};
