/** bramble wait */
import { OperatorError, TimeoutError, UsageError } from "#base/errors.ts";
import { StatusFailure } from "#cli/api.ts";
import { evaluatePath, valueText } from "#cli/jsonpath/evaluate.ts";
import { parsePath } from "#cli/jsonpath/parse.ts";
import { act, collected, explain, type Options, type Session, textOf } from "#cli/session.ts";
import { collectionPath, type Target, targetsOf, targetText } from "#cli/targets.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";
import { durationMs, waitFor } from "#cli/watching.ts";
import type { Stored } from "#resources/meta.ts";

type Waitable = Stored & {
  status?: {
    conditions?: Array<{ type?: string; status?: string; observedGeneration?: number }>;
    observedGeneration?: number;
  };
};

interface Goal {
  /** Whether this state is the one that was waited for. */
  met(object: Waitable | undefined): boolean;
  /** Whether an object that is not there may still come. */
  mayBeMissing: boolean;
}

/** `Ready`, `Ready=False`. A condition of an older generation says nothing yet. */
function conditionGoal(text: string): Goal {
  const [type = "", value = "True"] = text.split("=");
  return {
    mayBeMissing: false,
    met: (object) => {
      const condition = object?.status?.conditions?.find(
        (each) => each.type?.toLowerCase() === type.toLowerCase(),
      );
      const observed = condition?.observedGeneration ?? object?.status?.observedGeneration;
      const generation = object?.metadata.generation ?? 0;
      if (observed !== undefined && observed < generation) return false;
      return condition?.status?.toLowerCase() === value.toLowerCase();
    },
  };
}

/** `{.status.phase}=Running`; without a value: anything at all. */
function jsonPathGoal(text: string): Goal {
  const match = /^(\{.*?\}|[^=]+?)(?:==?(.*))?$/s.exec(text);
  const [, path = "", value] = match ?? [];
  if (path === "") throw new UsageError("jsonpath expression cannot be empty");
  const steps = parsePath(path);
  const wanted = value?.replace(/^(["'])(.*)\1$/s, "$2");
  return {
    mayBeMissing: false,
    met: (object) => {
      if (object === undefined) return false;
      const found = evaluatePath(steps, [object], object);
      if (found.length === 0) return false;
      return wanted === undefined || found.some((each) => valueText(each) === wanted);
    },
  };
}

function goalOf(text: string): Goal {
  const lower = text.toLowerCase();
  if (lower === "delete") return { met: (object) => object === undefined, mayBeMissing: true };
  if (lower === "create") return { met: (object) => object !== undefined, mayBeMissing: true };
  if (lower.startsWith("condition=")) return conditionGoal(text.slice("condition=".length));
  if (lower.startsWith("jsonpath=")) return jsonPathGoal(text.slice("jsonpath=".length));
  throw new UsageError(`unrecognized condition: "${text}"`);
}

function timeoutOf(options: Options): number {
  const text = textOf(options, "timeout") ?? "30s";
  const timeoutMs = durationMs(text);
  if (timeoutMs === undefined) {
    throw new UsageError(`invalid argument "${text}" for "--timeout" flag: time: invalid duration`);
  }
  // A negative time is a week, as upstream.
  return timeoutMs < 0 ? 7 * 24 * 3_600_000 : timeoutMs;
}

async function waitOne(session: Session, target: Target, goal: Goal, untilMs: number) {
  const { resource, namespace, name } = target;
  const late = `timed out waiting for the condition on ${resource.plural}/${name}`;
  let seen = false;
  await waitFor<Waitable>(
    session,
    { collection: collectionPath(resource, namespace), name },
    (object) => {
      if (object === undefined && !goal.mayBeMissing) {
        const type =
          resource.group === "" ? resource.plural : `${resource.plural}.${resource.group}`;
        throw new StatusFailure(404, "NotFound", `${type} "${name}" not found`);
      }
      seen ||= object !== undefined;
      return goal.met(object);
    },
    { timeoutMs: Math.max(1, untilMs - performance.now()), late },
  );
  // What was gone from the start is no news.
  if (seen) session.io.out(`${targetText(target)} condition met\n`);
}

async function wait(session: Session, args: string[], options: Options): Promise<void> {
  const condition = textOf(options, "for");
  if (condition === undefined) throw new UsageError("--for is required");
  const goal = goalOf(condition);
  const untilMs = performance.now() + timeoutOf(options);
  const targets = await targetsOf(session, args, options);
  if (targets.length === 0) throw new OperatorError("no matching resources found");
  let status = 0;
  for (const target of targets) {
    try {
      await waitOne(session, target, goal, untilMs);
    } catch (error) {
      const known = error instanceof TimeoutError || error instanceof StatusFailure;
      if (!known) throw error;
      status = explain(error, session.io);
    }
  }
  if (status !== 0) throw new ExitStatus(status);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option(
      "--for <condition>",
      "delete, create, condition=Ready, jsonpath={.status.phase}=Running",
    )
    .option("--timeout <time>", "how long to wait", "30s")
    .option("-f, --filename <file>", "objects that a file names", collected)
    .option("-R, --recursive", "take folders with all that is below them")
    .option("-l, --selector <labels>", "objects with these labels")
    .option("--field-selector <fields>", "objects with these fields")
    .option("-A, --all-namespaces", "in all namespaces")
    .option("--all", "all objects of the type")
    .option("-o, --output <form>", "accepted");
  act(command, io, wait);
};
