/** Carries the doctor's repairs out, so that `uninstall.sh` can take them back. */
import { appendFileSync, copyFileSync, existsSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { messageOf } from "#base/errors.ts";
import { readText } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import { runProcess } from "#base/process.ts";
import type { Command, Finding } from "./facts.ts";

/** Made by install.sh: what it changed, and files as they were before. */
const NOTES = "/etc/bramble/installed";
const BEFORE = "/etc/bramble/before";

/** As a shell reads it. */
export function shellText(command: Command): string {
  const word = (text: string): string =>
    /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
  return command.map(word).join(" ");
}

function keepBefore(path: string): void {
  const line = `file ${path}`;
  if (readText(NOTES)?.split("\n").includes(line) !== false) return;
  const copy = `${BEFORE}${path}`;
  mkdirSync(dirname(copy), { recursive: true });
  if (!existsSync(copy)) copyFileSync(path, copy);
  appendFileSync(NOTES, `${line}\n`);
}

/** Answers what went wrong; undefined when all of it was done. */
export async function repair(finding: Finding): Promise<string | undefined> {
  if (finding.changes !== undefined) keepBefore(finding.changes);
  for (const command of finding.repair ?? []) {
    try {
      const options = {
        timeoutMs: limits.repairMsMax,
        env: { DEBIAN_FRONTEND: "noninteractive" },
      };
      const { exitCode, stderr } = await runProcess(command, options);
      if (exitCode !== 0) return `${shellText(command)}: ${stderr.trim().split("\n").at(-1) ?? ""}`;
    } catch (error) {
      return messageOf(error);
    }
  }
  return undefined;
}
