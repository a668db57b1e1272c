/** The installed service: its program, how it is stopped and started, and whether it is well. */
import { existsSync } from "node:fs";
import { messageOf, OperatorError } from "#base/errors.ts";
import { readText } from "#base/files.ts";
import { limits } from "#base/limits.ts";
import { runProcess } from "#base/process.ts";
import { architecture } from "../machine.ts";
import { parseVersion, type Version } from "./plan.ts";
import { mustBeFor } from "./program.ts";

export const PROGRAM = "/usr/local/bin/bramble";
export const KEPT = "/usr/local/lib/bramble";
const NOTES = "/etc/bramble/installed";
const INIT = "/etc/init.d/bramble";

const hasSystemd = (): boolean => existsSync("/run/systemd/system");

/** Which of both install.sh made of this machine; undefined where it made none. */
export function installedRole(): "server" | "agent" | undefined {
  const role = /^role (server|agent)$/m.exec(readText(NOTES) ?? "")?.[1];
  return role === "server" || role === "agent" ? role : undefined;
}

async function must(argv: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runProcess(argv, { timeoutMs: limits.serviceMsMax });
  if (exitCode !== 0) {
    const why = stderr.trim().split("\n")[0] ?? "";
    throw new OperatorError(`${argv.join(" ")}: ${why === "" ? `status ${exitCode}` : why}`);
  }
  return stdout;
}

const control = (verb: "start" | "stop"): Promise<string> =>
  must(hasSystemd() ? ["systemctl", verb, "bramble.service"] : [INIT, verb]);

export const stopService = () => control("stop");
export const startService = () => control("start");
export const logHint = (): string =>
  hasSystemd() ? "journalctl -u bramble" : "tail /var/log/bramble.log";

/** Number of the process that serves; it changes when the service was started again. */
export async function servicePid(): Promise<string> {
  if (!hasSystemd()) return (readText("/run/bramble-service/bramble.pid") ?? "").trim();
  const shown = await must(["systemctl", "show", "-p", "ActiveState,MainPID", "bramble.service"]);
  return /^ActiveState=active$/m.test(shown) ? (/^MainPID=(\d+)$/m.exec(shown)?.[1] ?? "") : "";
}

/** Version of a program file; throws OperatorError where it does not run here. */
export async function versionOf(program: string): Promise<Version> {
  mustBeFor(architecture(), program);
  try {
    const out = await must([program, "version", "--client", "-o", "json"]);
    const found = parseVersion((JSON.parse(out) as Reply).clientVersion.gitVersion);
    if (found !== undefined) return found;
    throw new Error("it does not say its version");
  } catch (cause) {
    const text = `${program} does not run on this machine: ${messageOf(cause)}`;
    throw new OperatorError(text, { cause });
  }
}

interface Reply {
  clientVersion: { gitVersion: string };
}
