/** bramble rollout status|history|undo|restart|pause|resume */
import type { Command } from "commander";
import { OperatorError, UsageError } from "#base/errors.ts";
import { ask } from "#cli/api.ts";
import { podTemplateText } from "#cli/describe/template.ts";
import { elastic } from "#cli/elastic.ts";
import { historyOf, REVISION, revisionBefore } from "#cli/rollout/history.ts";
import {
  daemonSetProgress,
  deploymentProgress,
  type Progress,
  statefulSetProgress,
} from "#cli/rollout/status.ts";
import { act, collected, explain, type Options, type Session, textOf } from "#cli/session.ts";
import { collectionPath, type Target, targetPath, targetsOf, targetText } from "#cli/targets.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";
import { durationMs, waitFor } from "#cli/watching.ts";
import { sameValue } from "#resources/equal.ts";
import type { Stored } from "#resources/meta.ts";
import type { DaemonSet, Deployment, StatefulSet } from "#resources/types.gen.ts";

const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const JSON_PATCH = "application/json-patch+json";
const KINDS = ["Deployment", "DaemonSet", "StatefulSet"];
/** Annotations of a ReplicaSet that are its own and not its Deployment's. */
const OWN_ANNOTATIONS = [
  "kubectl.kubernetes.io/last-applied-configuration",
  REVISION,
  "deployment.kubernetes.io/revision-history",
  "deployment.kubernetes.io/desired-replicas",
  "deployment.kubernetes.io/max-replicas",
  "deprecated.deployment.rollback.to",
];

function progressOf(target: Target, object: Stored): Progress {
  switch (target.resource.kind) {
    case "Deployment":
      return deploymentProgress(object as Stored<Deployment>);
    case "DaemonSet":
      return daemonSetProgress(object as Stored<DaemonSet>);
    default:
      return statefulSetProgress(object as Stored<StatefulSet>);
  }
}

function mustRoll({ resource }: Target, what: string): void {
  if (!KINDS.includes(resource.kind)) {
    throw new OperatorError(`no ${what} has been implemented for ${resource.kind}`);
  }
}

async function status(session: Session, target: Target, options: Options): Promise<void> {
  mustRoll(target, "status viewer");
  const given = textOf(options, "timeout") ?? "0";
  const timeoutMs = durationMs(given);
  if (timeoutMs === undefined) throw new UsageError(`invalid --timeout "${given}"`);
  const { resource, namespace, name } = target;
  await ask(session.client, { path: targetPath(target) });
  await waitFor<Stored>(
    session,
    { collection: collectionPath(resource, namespace), name },
    (object) => {
      if (object === undefined) throw new OperatorError("object has been deleted");
      const { text, done } = progressOf(target, object);
      session.io.out(`${text}\n`);
      return done || options["watch"] === false;
    },
    {
      timeoutMs: timeoutMs > 0 ? timeoutMs : undefined,
      late: "timed out waiting for the condition",
    },
  );
}

const revisionOption = (options: Options, key: string): number => {
  const text = textOf(options, key) ?? "0";
  if (/^\d+$/.test(text)) return Number(text);
  throw new UsageError(`revision must be a positive integer: ${text}`);
};

async function history(session: Session, target: Target, options: Options): Promise<void> {
  mustRoll(target, "history viewer");
  const { revisions } = await historyOf(session, target);
  const wanted = revisionOption(options, "revision");
  if (wanted > 0) {
    const found = revisions.find(({ number }) => number === wanted);
    if (found === undefined) throw new OperatorError("unable to find the specified revision");
    session.io.out(`${targetText(target)} with revision #${wanted}\n`);
    session.io.out(podTemplateText(found.template));
    return;
  }
  session.io.out(`${targetText(target)} \n`);
  const rows = revisions.map(({ number, cause }) => `${number}\t${cause ?? "<none>"}`);
  session.io.out(`${elastic(["REVISION\tCHANGE-CAUSE", ...rows].join("\n"))}\n\n`);
}

async function undo(session: Session, target: Target, options: Options): Promise<void> {
  mustRoll(target, "rollbacker");
  const { owner, revisions } = await historyOf(session, target);
  const { client, io } = session;
  const path = targetPath(target);
  const chosen = revisionBefore(revisions, revisionOption(options, "toRevision"));
  const { spec } = owner as Stored<Deployment>;
  if (sameValue(spec?.template, chosen.template)) {
    const why = `current template already matches revision ${chosen.number}`;
    io.out(`${targetText(target)} skipped rollback (${why})\n`);
    return;
  }
  if (target.resource.kind !== "Deployment") {
    const { data } = chosen.keeper as Stored & { data?: object };
    await ask(client, { method: "PATCH", path, type: STRATEGIC, body: data });
  } else {
    if (spec?.paused === true) {
      throw new OperatorError(
        "you cannot rollback a paused deployment; resume it first with 'bramble rollout resume' " +
          "and try again",
      );
    }
    const kept = (object: Stored, own: boolean): Array<[string, string]> =>
      Object.entries(object.metadata.annotations ?? {}).filter(
        ([key]) => OWN_ANNOTATIONS.includes(key) === own,
      );
    const annotations = Object.fromEntries([...kept(owner, true), ...kept(chosen.keeper, false)]);
    const body = [
      { op: "replace", path: "/spec/template", value: chosen.template },
      { op: "add", path: "/metadata/annotations", value: annotations },
    ];
    await ask(client, { method: "PATCH", path, type: JSON_PATCH, body });
  }
  io.out(`${targetText(target)} rolled back\n`);
}

async function restart(session: Session, target: Target): Promise<void> {
  mustRoll(target, "restarter");
  const path = targetPath(target);
  const owner = await ask<Stored<Deployment>>(session.client, { path });
  if (target.resource.kind === "Deployment" && owner.spec?.paused === true) {
    throw new OperatorError("can't restart paused deployment (run rollout resume first)");
  }
  const restartedAt = new Date(session.io.now()).toISOString().replace(/\.\d+Z$/, "Z");
  const annotations = { "kubectl.kubernetes.io/restartedAt": restartedAt };
  const body = { spec: { template: { metadata: { annotations } } } };
  await ask(session.client, { method: "PATCH", path, type: STRATEGIC, body });
  session.io.out(`${targetText(target)} restarted\n`);
}

const pausing = (paused: boolean) => async (session: Session, target: Target) => {
  const { resource, name } = target;
  const word = paused ? "paused" : "resumed";
  if (resource.kind !== "Deployment") {
    const doing = paused ? "pausing" : "resuming";
    throw new OperatorError(
      `${resource.plural}.${resource.group} "${name}" ${doing} is not supported`,
    );
  }
  const path = targetPath(target);
  const owner = await ask<Stored<Deployment>>(session.client, { path });
  if ((owner.spec?.paused === true) === paused) {
    const why = paused ? "is already paused" : "is not paused";
    throw new OperatorError(`deployments.apps "${name}" ${why}`);
  }
  const body = { spec: { paused } };
  await ask(session.client, { method: "PATCH", path, type: MERGE, body });
  session.io.out(`${targetText(target)} ${word}\n`);
};

type Step = (session: Session, target: Target, options: Options) => Promise<void>;

/** Does the same for all that the arguments name; one failure does not keep the others from it. */
const forAll = (step: Step) => async (session: Session, args: string[], options: Options) => {
  let result = 0;
  for (const target of await targetsOf(session, args, options)) {
    try {
      await step(session, target, options);
    } catch (error) {
      result = explain(error, session.io);
    }
  }
  if (result !== 0) throw new ExitStatus(result);
};

function sub(parent: Command, name: string, summary: string): Command {
  return parent
    .command(name)
    .description(summary)
    .option("-f, --filename <file>", "objects that a file names", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("-l, --selector <labels>", "objects with these labels");
}

export const define: VerbModule["define"] = (command, io) => {
  const watched = sub(command, "status", "show how far a rollout is, until it is done")
    .option("--no-watch", "say it once")
    .option("--timeout <time>", "how long to wait; 0 is for ever", "0");
  act(watched, io, forAll(status));
  const listed = sub(command, "history", "list earlier revisions").option(
    "--revision <number>",
    "show the template of this one",
  );
  act(listed, io, forAll(history));
  const undone = sub(command, "undo", "go back to an earlier revision").option(
    "--to-revision <number>",
    "which one; 0 is the one before",
  );
  act(undone, io, forAll(undo));
  act(sub(command, "restart", "replace all pods, one after the other"), io, forAll(restart));
  act(sub(command, "pause", "hold a rollout"), io, forAll(pausing(true)));
  act(sub(command, "resume", "go on with a held rollout"), io, forAll(pausing(false)));
};
