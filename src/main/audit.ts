/** The audit log that the settings ask for. */
import { readFileSync } from "node:fs";
import { type AuditPolicy, parsePolicy } from "#api/audit/policy.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf, OperatorError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { RotatedFile } from "#base/rotated.ts";
import type { ServerSettings } from "./settings.ts";

const MEGABYTE = 1024 * 1024;
const DAY_MS = 24 * 60 * 60 * 1000;

export interface AuditLog {
  readonly policy: AuditPolicy;
  write(line: string): void;
  close(): Promise<void>;
}

function readPolicy(path: string): AuditPolicy {
  try {
    return parsePolicy(readFileSync(path, "utf8"));
  } catch (error) {
    throw new OperatorError(`--audit-policy-file ${path}: ${messageOf(error)}`, { cause: error });
  }
}

/** Undefined where none is asked for. @throws OperatorError for a policy that cannot be used. */
export function openAudit(
  settings: ServerSettings,
  { clock, log }: { clock: Clock; log: Log },
): AuditLog | undefined {
  const { auditPolicyFile, auditLogPath: path } = settings;
  if (auditPolicyFile === undefined || path === undefined) return undefined;
  const policy = readPolicy(auditPolicyFile);
  if (path === "-") {
    return {
      policy,
      write: (line) => void process.stdout.write(`${line}\n`),
      close: async () => {},
    };
  }
  const file = new RotatedFile({
    path,
    bytesMax: Math.max(settings.auditLogMaxsize, 1) * MEGABYTE,
    filesMax: settings.auditLogMaxbackup,
    ageMsMax: settings.auditLogMaxage * DAY_MS,
    now: () => clock.now(),
    log,
  });
  return { policy, write: (line) => file.append(line), close: () => file.close() };
}
