/** bramble scale */
import { OperatorError, UsageError } from "#base/errors.ts";
import { ask, StatusFailure } from "#cli/api.ts";
import { act, collected, explain, type Options, type Session, textOf } from "#cli/session.ts";
import { type Target, targetPath, targetsOf, targetText } from "#cli/targets.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";
import type { Stored } from "#resources/meta.ts";
import type { Scale } from "#resources/types.gen.ts";

function count(options: Options, key: string, flag: string): number | undefined {
  const text = textOf(options, key);
  if (text === undefined) return undefined;
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new UsageError(`invalid argument "${text}" for "${flag}" flag: a number is needed`);
}

async function scaleOne(session: Session, target: Target, options: Options, replicas: number) {
  const path = targetPath(target, "scale");
  const current = count(options, "currentReplicas", "--current-replicas");
  const version = textOf(options, "resourceVersion");
  if (!target.resource.subresources.includes("scale")) {
    throw new OperatorError(`cannot scale ${targetText(target)}: it has no replicas`);
  }
  let resourceVersion = version;
  if (current !== undefined && current >= 0) {
    const scale = await ask<Stored<Scale>>(session.client, { path });
    const found = scale.spec?.replicas ?? 0;
    if (found !== current) {
      throw new OperatorError(`Expected replicas to be ${current}, was ${found}`);
    }
    resourceVersion ??= scale.metadata.resourceVersion;
  }
  const body = {
    ...(resourceVersion !== undefined && { metadata: { resourceVersion } }),
    spec: { replicas },
  };
  const query = { dryRun: textOf(options, "dryRun") === "server" ? "All" : undefined };
  const type = "application/merge-patch+json";
  await ask(session.client, { method: "PATCH", path, type, body, query });
  session.io.out(`${targetText(target)} scaled\n`);
}

async function scale(session: Session, args: string[], options: Options): Promise<void> {
  const replicas = count(options, "replicas", "--replicas");
  if (replicas === undefined || replicas < 0) {
    throw new UsageError(
      "The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0",
    );
  }
  let status = 0;
  for (const target of await targetsOf(session, args, options)) {
    try {
      await scaleOne(session, target, options, replicas);
    } catch (error) {
      const missing = error instanceof StatusFailure && error.code === 404;
      const words = missing ? `no objects passed to scale ${error.message}` : "";
      status = explain(missing ? new OperatorError(words) : error, session.io);
    }
  }
  if (status !== 0) throw new ExitStatus(status);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("--replicas <count>", "how many there shall be")
    .option("--current-replicas <count>", "only where there are so many now")
    .option("--resource-version <version>", "only at this version of the object")
    .option("-f, --filename <file>", "objects that a file names", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("-l, --selector <labels>", "objects with these labels")
    .option("--all", "all objects of the type")
    .option("--dry-run <how>", "none or server", "none");
  act(command, io, scale);
};
