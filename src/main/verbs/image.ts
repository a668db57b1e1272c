/** bramble image load FILE */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { realClock } from "#base/clock.ts";
import { OperatorError } from "#base/errors.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { loadInstance } from "../instance.ts";
import { nodeRuntime } from "../node.ts";
import { surroundings } from "../process.ts";
import { agentShape, loadAgentSettings } from "../settings.ts";

async function load(file: string, options: Record<string, unknown>, io: CliIo): Promise<void> {
  if (!existsSync(file)) throw new OperatorError(`no file ${file}`);
  const given = loadAgentSettings(sourcesOf(options, io.env));
  const settings = { ...given, ...loadInstance(given.dataDir) };
  const { log } = surroundings({ logLevel: "warn", logFormat: "text" });
  const names = await nodeRuntime({ settings, clock: realClock, log }).load(join(file));
  for (const name of names) io.out(`loaded ${name}\n`);
}

export const define: VerbModule["define"] = (command, io) => {
  const sub = command
    .command("load")
    .description("load an image archive (docker or OCI) into this node's containerd")
    .argument("<file>");
  addFlags(sub, agentShape);
  sub.action((file: string, options: Record<string, unknown>) => load(file, options, io));
};
