/** bramble doctor: what a node needs of its machine, and how to mend what is not so. */
import type { Command } from "commander";
import { readText } from "#base/files.ts";
import { type CliIo, ExitStatus, type VerbModule } from "#cli/verb.ts";
import { diagnose } from "../doctor/checks.ts";
import type { Finding } from "../doctor/facts.ts";
import { repair, shellText } from "../doctor/fix.ts";
import { observe } from "../doctor/observe.ts";
import { addFlags, sourcesOf } from "../flags.ts";
import { loadServerSettings, serverShape } from "../settings.ts";

interface DoctorOptions extends Record<string, unknown> {
  fix?: boolean;
  quiet?: boolean;
  role?: string;
}

const MARKS = { ok: "ok  ", warn: "warn", fail: "FAIL" } as const;

function show(finding: Finding, io: CliIo): void {
  io.out(`${MARKS[finding.level]}  ${finding.check}: ${finding.text}\n`);
  for (const command of finding.repair ?? []) io.out(`        ${shellText(command)}\n`);
  if (finding.needsReboot === true) io.out("        then restart the machine\n");
}

/** Repairs run in their order; answers whether a restart of the machine is due. */
async function fixAll(findings: readonly Finding[], io: CliIo): Promise<boolean> {
  let needsReboot = false;
  for (const finding of findings) {
    if (finding.level === "ok" || finding.repair === undefined) continue;
    const failure = await repair(finding);
    io.out(`${finding.check}: ${failure === undefined ? "mended" : `not mended: ${failure}`}\n`);
    if (failure === undefined) needsReboot ||= finding.needsReboot === true;
  }
  return needsReboot;
}

async function examine(options: DoctorOptions, io: CliIo): Promise<void> {
  const { fix, quiet, role: given, ...flags } = options;
  const settings = loadServerSettings(sourcesOf(flags, io.env));
  const noted = /^role agent$/m.test(readText("/etc/bramble/installed") ?? "");
  const role = (given ?? (noted ? "agent" : "server")) === "agent" ? "agent" : "server";
  const look = async () => diagnose(await observe(settings, role, io.now()));
  let findings = await look();
  if (fix === true) {
    if (await fixAll(findings, io)) io.out("restart the machine for it to work\n");
    findings = await look();
  }
  for (const finding of findings) {
    if (quiet !== true || finding.level !== "ok") show(finding, io);
  }
  if (findings.some(({ level }) => level === "fail")) throw new ExitStatus(1);
}

export const define: VerbModule["define"] = (command: Command, io) => {
  addFlags(command, serverShape);
  command
    .option("--fix", "carry the repairs out")
    .option("--quiet", "only what is not as it should be")
    .option("--role <role>", "server or agent (default: as installed)")
    .action((options: DoctorOptions) => examine(options, io));
};
