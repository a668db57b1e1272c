/** bramble agent */
import type { VerbModule } from "#cli/verb.ts";
import { runAgent } from "../agent.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { surroundings } from "../process.ts";
import { agentShape, loadAgentSettings } from "../settings.ts";

export const define: VerbModule["define"] = (command, io) => {
  addFlags(command, agentShape);
  command.action(async (options: Record<string, unknown>) => {
    const settings = loadAgentSettings(sourcesOf(options, io.env));
    await runAgent(settings, surroundings(settings));
    process.exit(0);
  });
};
