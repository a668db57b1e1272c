/** bramble server */
import type { VerbModule } from "#cli/verb.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { surroundings } from "../process.ts";
import { runServer } from "../server.ts";
import { loadServerSettings, serverShape } from "../settings.ts";

export const define: VerbModule["define"] = (command, io) => {
  addFlags(command, serverShape);
  command.action(async (options: Record<string, unknown>) => {
    const settings = loadServerSettings(sourcesOf(options, io.env));
    await runServer(settings, surroundings(settings));
    // Handles of libraries may linger; what matters is closed.
    process.exit(0);
  });
};
