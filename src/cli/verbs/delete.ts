/**
 * Deleting objects, as `kubectl delete`. The verb is put together in src/main, with deleting the
 * local cluster.
 */
import type { Command } from "commander";
import { TimeoutError, UsageError } from "#base/errors.ts";
import { ask, StatusFailure } from "#cli/api.ts";
import { typeName } from "#cli/resources.ts";
import { collected, explain, isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { collectionPath, type Target, targetPath, targetsOf } from "#cli/targets.ts";
import { ExitStatus } from "#cli/verb.ts";
import { durationMs, waitFor } from "#cli/watching.ts";
import type { Stored } from "#resources/meta.ts";

const CASCADES: Readonly<Record<string, string>> = {
  background: "Background",
  foreground: "Foreground",
  orphan: "Orphan",
};

interface Settings {
  body: object;
  verb: string;
  force: boolean;
  wait: boolean;
  dryRun: boolean;
  timeoutMs: number | undefined;
}

function settingsFrom(options: Options): Settings {
  const cascade = textOf(options, "cascade") ?? "background";
  const propagationPolicy = CASCADES[cascade];
  if (propagationPolicy === undefined) {
    throw new UsageError(
      `invalid cascade value (${cascade}). Must be "background", "foreground", or "orphan"`,
    );
  }
  const force = isSet(options, "force");
  const given = textOf(options, "gracePeriod");
  const grace = force && given === undefined ? 0 : Number(given ?? -1);
  if (grace === 0 && !force) {
    throw new UsageError("--grace-period=0 is only for --force; --now sets 1");
  }
  const seconds = isSet(options, "now") ? 1 : grace;
  const dryRun = textOf(options, "dryRun") ?? "none";
  const timeout = durationMs(textOf(options, "timeout") ?? "0");
  return {
    body: {
      kind: "DeleteOptions",
      apiVersion: "v1",
      propagationPolicy,
      ...(seconds >= 0 && { gracePeriodSeconds: seconds }),
    },
    verb: force ? "force deleted" : "deleted",
    force,
    wait: options["wait"] !== false && dryRun === "none",
    dryRun: dryRun !== "none",
    timeoutMs: timeout === 0 ? undefined : timeout,
  };
}

async function deleteOne(
  session: Session,
  target: Target,
  settings: Settings,
): Promise<string | undefined> {
  const found = await ask<Stored & { details?: { uid?: string } }>(session.client, {
    method: "DELETE",
    path: targetPath(target),
    body: settings.body,
    query: { dryRun: settings.dryRun ? "All" : undefined },
  });
  return found.metadata?.uid ?? found.details?.uid;
}

async function untilGone(session: Session, target: Target, uid: string, settings: Settings) {
  const { resource, namespace, name } = target;
  await waitFor<Stored>(
    session,
    { collection: collectionPath(resource, namespace), name },
    (object) => object === undefined || object.metadata.uid !== uid,
    {
      timeoutMs: settings.timeoutMs,
      late: `timed out waiting for the condition on ${resource.plural}/${name}`,
    },
  );
}

const WARNING =
  "Warning: Immediate deletion does not wait for confirmation that the running resource has been " +
  "terminated. The resource may continue to run on the cluster indefinitely.\n";

/**
 * Options that only mean something for objects: with one of them nobody meant the local cluster.
 */
const OBJECT_OPTIONS = [
  "filename",
  "selector",
  "fieldSelector",
  "namespace",
  "allNamespaces",
  "all",
  "force",
  "now",
  "ignoreNotFound",
  "output",
  "gracePeriod",
];

/** Whether the command line is about objects at all. */
export const namesObjects = (args: readonly string[], options: Options): boolean =>
  args.length > 0 ||
  OBJECT_OPTIONS.some((key) => options[key] !== undefined && options[key] !== false);

export async function deleteObjects(session: Session, args: string[], options: Options) {
  const { io } = session;
  const settings = settingsFrom(options);
  const targets = await targetsOf(session, args, options);
  const form = textOf(options, "output");
  if (settings.force) io.err(WARNING);
  if (targets.length === 0) io.err("No resources found\n");
  const going: Array<{ target: Target; uid: string }> = [];
  let status = 0;
  for (const target of targets) {
    try {
      const uid = await deleteOne(session, target, settings);
      const type = typeName(target.resource);
      const dry = settings.dryRun ? " (server dry run)" : "";
      if (form === "name") io.out(`${type}/${target.name}\n`);
      else io.out(`${type} "${target.name}" ${settings.verb}${dry}\n`);
      if (uid !== undefined) going.push({ target, uid });
    } catch (error) {
      const missing = error instanceof StatusFailure && error.code === 404;
      if (missing && (isSet(options, "ignoreNotFound") || isSet(options, "all"))) continue;
      if (!(error instanceof StatusFailure)) throw error;
      status = explain(error, io);
    }
  }
  if (settings.wait) {
    for (const { target, uid } of going) {
      try {
        await untilGone(session, target, uid, settings);
      } catch (error) {
        if (!(error instanceof TimeoutError)) throw error;
        status = explain(error, io);
      }
    }
  }
  if (status !== 0) throw new ExitStatus(status);
}

export function addDeleteFlags(command: Command): Command {
  return command
    .option("-f, --filename <file>", "objects that a file names", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("-l, --selector <labels>", "objects with these labels")
    .option("--field-selector <fields>", "objects with these fields")
    .option("-A, --all-namespaces", "in all namespaces")
    .option("--all", "all objects of the type")
    .option("--cascade <how>", "background, foreground or orphan", "background")
    .option("--grace-period <seconds>", "time to end in; -1 leaves it to the object")
    .option("--force", "do not wait for the node to confirm")
    .option("--now", "ask for an end within a second")
    .option("--ignore-not-found", "what is not there is no failure")
    .option("--no-wait", "do not wait until the objects are gone")
    .option("--timeout <time>", "how long to wait; 0 is for ever", "0")
    .option("--dry-run <how>", "none, client or server", "none")
    .option("-o, --output <form>", "name");
}
