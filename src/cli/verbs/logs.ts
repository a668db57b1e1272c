/** bramble logs */
import { OperatorError, UsageError } from "#base/errors.ts";
import { StatusFailure, send } from "#cli/api.ts";
import { containerFor, containersOf, podFor, podPath, podsBySelector, podsFor } from "#cli/pods.ts";
import { act, explain, isSet, type Options, type Session, textOf } from "#cli/session.ts";
import { ExitStatus, type VerbModule } from "#cli/verb.ts";
import { durationMs } from "#cli/watching.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

interface Source {
  pod: Stored<Pod>;
  container: string;
}

const FOLLOWED_MAX = 5;
/** Lines of each pod where a selector names them, as upstream. */
const SELECTOR_TAIL = "10";

function number(options: Options, key: string, flag: string): number | undefined {
  const text = textOf(options, key);
  if (text === undefined) return undefined;
  if (/^-?\d+$/.test(text)) return Number(text);
  throw new UsageError(`invalid argument "${text}" for "${flag}" flag: a number is needed`);
}

function queryFrom(options: Options) {
  const since = textOf(options, "since");
  const sinceMs = since === undefined ? undefined : durationMs(since);
  if (since !== undefined && sinceMs === undefined) {
    throw new UsageError(`invalid argument "${since}" for "--since" flag: time: invalid duration`);
  }
  const sinceTime = textOf(options, "sinceTime");
  if (sinceMs && sinceTime !== undefined) {
    throw new UsageError("at most one of `sinceTime` or `since` may be specified");
  }
  const tail = number(options, "tail", "--tail");
  if (tail !== undefined && tail < -1) {
    throw new UsageError("--tail must be greater than or equal to -1");
  }
  const bySelector = textOf(options, "selector") !== undefined;
  const tailLines = tail ?? (bySelector ? Number(SELECTOR_TAIL) : -1);
  return {
    follow: isSet(options, "follow"),
    previous: isSet(options, "previous"),
    timestamps: isSet(options, "timestamps"),
    tailLines: tailLines < 0 ? undefined : tailLines,
    sinceSeconds: sinceMs ? Math.ceil(sinceMs / 1_000) : undefined,
    sinceTime,
    limitBytes: number(options, "limitBytes", "--limit-bytes") || undefined,
  };
}

async function podsOf(session: Session, args: string[], options: Options) {
  const selector = textOf(options, "selector");
  if (selector !== undefined) {
    if (args.length > 0) throw new UsageError("only a selector (-l) or a POD name is allowed");
    return podsBySelector(session, selector);
  }
  const [first] = args;
  if (first === undefined)
    throw new UsageError("expected 'logs [-f] [-p] (POD | TYPE/NAME) [-c CONTAINER]'");
  if (isSet(options, "allPods")) return podsFor(session, first);
  try {
    return [await podFor(session, first, { say: true })];
  } catch (error) {
    if (!(error instanceof StatusFailure) || error.code !== 404 || first.includes("/")) throw error;
    const where = `${error.message} in namespace "${session.namespace}"`;
    throw new OperatorError(`error from server (NotFound): ${where}`);
  }
}

async function sources(session: Session, args: string[], options: Options): Promise<Source[]> {
  const found = await podsOf(session, args, options);
  const wanted = textOf(options, "container") ?? args[1];
  const all = isSet(options, "allContainers");
  return found.flatMap((pod) =>
    all
      ? containersOf(pod).map((container) => ({ pod, container }))
      : [{ pod, container: containerFor(session, pod, wanted) }],
  );
}

/** Whole lines with their source before them. */
class Prefixed {
  readonly #decoder = new TextDecoder();
  readonly #prefix: string;
  #rest = "";

  constructor({ pod, container }: Source) {
    this.#prefix = `[pod/${pod.metadata.name}/${container}] `;
  }

  take(chunk: Uint8Array): string {
    const lines = (this.#rest + this.#decoder.decode(chunk, { stream: true })).split("\n");
    this.#rest = lines.pop() ?? "";
    return lines.map((line) => `${this.#prefix}${line}\n`).join("");
  }

  get rest(): string {
    return this.#rest === "" ? "" : `${this.#prefix}${this.#rest}\n`;
  }
}

async function show(session: Session, source: Source, options: Options): Promise<void> {
  const { client, io } = session;
  const path = podPath(source.pod, "log");
  const query = { ...queryFrom(options), container: source.container };
  const response = await send(client, { path, query, accept: "*/*" });
  if (response.body === null) return;
  const prefixed = isSet(options, "prefix") ? new Prefixed(source) : undefined;
  for await (const chunk of response.body) io.out(prefixed?.take(chunk) ?? chunk);
  if (prefixed !== undefined) io.out(prefixed.rest);
}

async function logs(session: Session, args: string[], options: Options): Promise<void> {
  const query = queryFrom(options);
  const all = await sources(session, args, options);
  if (all.length === 0) session.io.err(`No resources found in ${session.namespace} namespace.\n`);
  const max = number(options, "maxLogRequests", "--max-log-requests") ?? FOLLOWED_MAX;
  if (query.follow && all.length > max) {
    throw new OperatorError(
      `you are attempting to follow ${all.length} log streams, but maximum allowed concurrency ` +
        `is ${max}, use --max-log-requests to increase the limit`,
    );
  }
  let status = 0;
  const one = async (source: Source): Promise<void> => {
    try {
      await show(session, source, options);
    } catch (error) {
      if (!isSet(options, "ignoreErrors")) status = explain(error, session.io);
    }
  };
  if (query.follow) await Promise.all(all.map(one));
  else for (const source of all) await one(source);
  if (status !== 0) throw new ExitStatus(status);
}

export const define: VerbModule["define"] = (command, io) => {
  command
    .option("-f, --follow", "go on as more is written")
    .option("-p, --previous", "of the container that ran before")
    .option("-c, --container <name>", "of this container")
    .option("--all-containers", "of all containers")
    .option("--all-pods", "of all pods")
    .option("-l, --selector <labels>", "of pods with these labels")
    .option("--tail <lines>", "only the last lines; -1 is all")
    .option("--since <time>", "only what is newer than 5s, 2m, 3h")
    .option("--since-time <time>", "only what is newer than this RFC 3339 time")
    .option("--timestamps", "with the time before each line")
    .option("--prefix", "with pod and container before each line")
    .option("--limit-bytes <count>", "no more than this")
    .option("--max-log-requests <count>", "how many to follow at once")
    .option("--ignore-errors", "go on with the others when one fails");
  act(command, io, logs);
};
