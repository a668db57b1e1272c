/** Flags of the command line made from the settings' schema, so that each setting exists once. */
import { existsSync, readFileSync } from "node:fs";
import { type Command, Option } from "commander";
import type { z } from "zod";
import { messageOf, UsageError } from "#base/errors.ts";
import { flagOf, type Sources } from "./settings.ts";

const CONFIG_FILE = "/etc/bramble/config.yaml";

/** Adds a flag for each setting; those that are true by default become `--no-…`. */
export function addFlags(command: Command, shape: Record<string, z.ZodType>): void {
  for (const [key, schema] of Object.entries(shape)) {
    const flag = flagOf(key);
    const fallback = schema.safeParse(undefined);
    const isSwitch = fallback.success && fallback.data === true;
    const description = schema.description ?? "";
    if (isSwitch) command.option(flag.replace("--", "--no-"), description);
    // A text, as from the environment: `true` would look like a switch that nobody touched.
    else if (fallback.data === false)
      command.addOption(new Option(flag, description).preset("true"));
    else command.option(`${flag} <value>`, `${description}${shown(fallback.data)}`);
  }
  command.option("--config <file>", `settings as YAML (default: ${CONFIG_FILE})`);
}

function shown(fallback: unknown): string {
  if (fallback === undefined || (Array.isArray(fallback) && fallback.length === 0)) return "";
  if (typeof fallback === "object" && fallback !== null && "from" in fallback) return "";
  return ` (default: ${String(fallback)})`;
}

function readConfig(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new UsageError(`--config: cannot read ${path}`, { cause, hint: messageOf(cause) });
  }
}

/** What the user gave, by source. A switch counts as given only when it was turned off. */
export function sourcesOf(
  options: Record<string, unknown>,
  env: Readonly<Record<string, string | undefined>>,
): Sources {
  const { config, ...flags } = options;
  const filePath = typeof config === "string" ? config : CONFIG_FILE;
  const given = Object.entries(flags).filter(([, value]) => value !== true);
  const file = config !== undefined || existsSync(filePath) ? readConfig(filePath) : undefined;
  return { flags: Object.fromEntries(given), env, file, filePath };
}
