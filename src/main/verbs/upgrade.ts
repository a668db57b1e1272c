/**
 * bramble upgrade [FILE]: this node's program, or with --cluster that of all nodes; without a file,
 * the program that was called.
 */
import { join } from "node:path";
import { realClock } from "#base/clock.ts";
import { messageOf, UsageError } from "#base/errors.ts";
import { connect } from "#cli/connect.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { architecture, machineName } from "../machine.ts";
import { loadServerSettings, serverShape } from "../settings.ts";
import { upgradeCluster } from "../upgrade/cluster.ts";
import { saveOutcome } from "../upgrade/follow.ts";
import { upgradeNode } from "../upgrade/node.ts";
import { mustBeFor } from "../upgrade/program.ts";
import { versionOf } from "../upgrade/service.ts";

interface Options extends Record<string, unknown> {
  cluster?: boolean;
  program?: string[];
  outcome?: string;
}

function programsOf(file: string, more: readonly string[]): Map<string, string> {
  const found = new Map([[architecture(), file]]);
  for (const text of more) {
    const [arch = "", path = ""] = text.split("=");
    if (!/^(?:amd64|arm64)$/.test(arch) || path === "") {
      throw new UsageError(`--program: "${text}" must be amd64=FILE or arm64=FILE`);
    }
    mustBeFor(arch, path);
    found.set(arch, path);
  }
  return found;
}

async function upgrade(given: string | undefined, options: Options, io: CliIo): Promise<void> {
  const { cluster, program, outcome, ...flags } = options;
  const settings = loadServerSettings(sourcesOf(flags, io.env));
  const { dataDir, httpsPort } = settings;
  const file = given ?? process.execPath;
  const say = (text: string): void => io.out(`${text}\n`);
  const failed = (error: string): void => {
    if (outcome !== undefined) saveOutcome({ sha256: outcome, error });
  };
  const own = () => upgradeNode({ file, dataDir, httpsPort, clock: realClock, say, failed });
  if (cluster === true) {
    const kubeconfig = join(dataDir, "kubeconfig");
    await upgradeCluster({
      client: connect({ kubeconfig, env: {} }).client,
      clock: realClock,
      dataDir,
      ownName: settings.nodeName ?? machineName(),
      own,
      version: await versionOf(file),
      programs: programsOf(file, program ?? []),
      say,
    });
    return;
  }
  try {
    await own();
  } catch (error) {
    failed(messageOf(error));
    throw error;
  }
}

const collect = (value: string, before: string[] = []): string[] => [...before, value];

export const define: VerbModule["define"] = (command, io) => {
  addFlags(command, serverShape);
  command
    .argument("[file]", "the new program (default: the one that runs this)")
    .option("--cluster", "on the server: all nodes, one after the other")
    .option("--program <arch=file>", "with --cluster: the program for nodes of that kind", collect)
    .option("--outcome <sha256>", "note for the server how it went; used by nodes")
    .action((file: string | undefined, options: Options) => upgrade(file, options, io));
};
