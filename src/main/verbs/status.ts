/** bramble status: which local clusters there are, and how each of their nodes is. */
import { type CliIo, ExitStatus, type VerbModule } from "#cli/verb.ts";
import { readyNodes } from "../local/cluster.ts";
import { checkProfile, listProfiles, mustLoad, nodesOf, type Profile } from "../local/profile.ts";
import { nodeRuns } from "../local/programs.ts";

const COLUMNS = [16, 24, 12, 8] as const;

function row(cells: readonly string[]): string {
  return `${cells
    .map((cell, i) => cell.padEnd(COLUMNS[i] ?? 0))
    .join(" ")
    .trimEnd()}\n`;
}

/** Answers whether all of its nodes are ready. */
async function show(profile: Profile, io: CliIo): Promise<boolean> {
  const ready = await readyNodes(profile);
  let isWell = true;
  for (const node of nodesOf(profile)) {
    const isReady = ready.includes(node.name);
    const state = isReady ? "Ready" : nodeRuns(node) ? "NotReady" : "Stopped";
    isWell &&= isReady;
    const port = node.index === 1 ? String(profile.httpsPort) : "";
    io.out(row([profile.name, node.name, state, port]));
  }
  return isWell;
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-p, --profile <name>", "of this cluster (default: of all)")
    .action(async ({ profile }: { profile?: string }) => {
      const shown = profile === undefined ? listProfiles() : [mustLoad(checkProfile(profile))];
      io.out(row(["PROFILE", "NODE", "STATUS", "PORT"]));
      let isWell = shown.length > 0;
      for (const each of shown) isWell = (await show(each, io)) && isWell;
      if (!isWell) throw new ExitStatus(1);
    });
};
