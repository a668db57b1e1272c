/** bramble verify FILE: checks the signature of a release file against the trusted keys. */
import { existsSync } from "node:fs";
import { OperatorError, UsageError } from "#base/errors.ts";
import type { CliIo, VerbModule } from "#cli/verb.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { KINDS } from "../release/signature.ts";
import { embeddedReleaseKeys, verifyRelease } from "../release/verify.ts";
import { agentShape, loadAgentSettings } from "../settings.ts";

interface Options extends Record<string, unknown> {
  keys?: boolean;
  kind?: string;
}

async function verify(file: string | undefined, options: Options, io: CliIo): Promise<void> {
  const { keys: isList, kind: given, ...flags } = options;
  const kind = KINDS.find((each) => each === given);
  if (given !== undefined && kind === undefined) {
    throw new UsageError(`--kind: "${given}" must be one of ${KINDS.join(", ")}`);
  }
  const { releaseKeys } = loadAgentSettings(sourcesOf(flags, io.env));
  const keys = [...embeddedReleaseKeys, ...releaseKeys];
  if (isList === true) {
    for (const key of keys) io.out(`${key}\n`);
    return;
  }
  if (file === undefined) throw new UsageError("name the file to verify, or give --keys");
  if (!existsSync(file)) throw new OperatorError(`no file ${file}`);
  // What is not signed is never verified, whatever an upgrade would accept.
  const trust = { keys, allowUnsigned: false, warn: () => {} };
  const found = await verifyRelease({ path: file, name: file, kind }, trust);
  const what = `${found?.kind} of version ${found?.version} for ${found?.arch}`;
  io.out(`${file}: ${what}, signed with a trusted key\n`);
}

export const define: VerbModule["define"] = (command, io) => {
  addFlags(command, agentShape);
  command
    .argument("[file]", "the file; its signature is FILE.sig")
    .option("--kind <kind>", `what it must be: ${KINDS.join(", ")}`)
    .option("--keys", "print the trusted keys instead")
    .action((file: string | undefined, options: Options) => verify(file, options, io));
};
