/** bramble cp: files to and from a container, through tar on both sides. */
import { existsSync, mkdirSync, statSync } from "node:fs";
import { basename, dirname, join, posix, resolve } from "node:path";
import { OperatorError, UsageError } from "#base/errors.ts";
import { startPiped } from "#base/process.ts";
import { execute, type Place } from "#cli/execute.ts";
import { containerFor, podFor } from "#cli/pods.ts";
import { act, type Options, type Session, textOf } from "#cli/session.ts";
import { unpack } from "#cli/untar.ts";
import type { VerbModule } from "#cli/verb.ts";

interface Spec {
  namespace: string | undefined;
  pod: string | undefined;
  path: string;
}

/** `[NAMESPACE/]POD:PATH`, or a local path. @throws UsageError */
function parseSpec(text: string): Spec {
  const colon = text.indexOf(":");
  if (colon < 0) return { namespace: undefined, pod: undefined, path: text };
  const path = text.slice(colon + 1);
  const parts = text.slice(0, colon).split("/");
  const [first = "", second] = parts;
  if (parts.length > 2 || first === "") {
    throw new UsageError("filespec must match the canonical format: [[namespace/]pod:]file/path");
  }
  if (second === undefined) return { namespace: undefined, pod: first, path };
  return { namespace: first, pod: second, path };
}

async function placeOf(session: Session, spec: Spec, options: Options) {
  const namespace = spec.namespace ?? session.namespace;
  const there = { ...session, namespace };
  const pod = await podFor(there, spec.pod ?? "");
  return {
    there,
    place: { pod, container: containerFor(there, pod, textOf(options, "container")) },
  };
}

async function must(session: Session, place: Place, ...command: string[]): Promise<void> {
  const { status, stderr } = await execute(session, place, command);
  if (status !== 0) throw new OperatorError(stderr.trim() || `${command[0]} failed`);
}

const isFolder = async (session: Session, place: Place, path: string): Promise<boolean> =>
  (await execute(session, place, ["test", "-d", path])).status === 0;

async function upload(session: Session, place: Place, from: string, to: string): Promise<void> {
  if (!existsSync(from)) throw new OperatorError(`${from} doesn't exist in local filesystem`);
  const isDir = statSync(from).isDirectory();
  const inside = to.endsWith("/") || (await isFolder(session, place, to));
  const target = inside ? posix.join(to, basename(resolve(from))) : to;
  const folder = isDir ? target : posix.dirname(target);
  if (isDir) await must(session, place, "mkdir", "-p", "--", folder);
  const argv = isDir ? ["-C", from, "."] : ["-C", dirname(resolve(from)), `./${basename(from)}`];
  const child = startPiped(["tar", "cf", "-", ...argv]);
  void child.stdin.end();
  const command = ["tar", "xmf", "-", "-C", folder];
  const sent = await execute(session, place, command, { stdin: child.stdout });
  const [status, words] = await Promise.all([child.exited, new Response(child.stderr).text()]);
  if (status !== 0) throw new OperatorError(words.trim() || `tar ended with ${status}`);
  if (sent.status !== 0) throw new OperatorError(sent.stderr.trim());
  const named = posix.join(folder, basename(from));
  if (!isDir && named !== target) await must(session, place, "mv", "--", named, target);
}

/** Queues chunks until the archive reader takes them. */
class Arrivals {
  readonly #waiting: Uint8Array[] = [];
  #next = Promise.withResolvers<void>();
  #over = false;

  /** Drops chunks after the end. */
  push(bytes: Uint8Array): void {
    if (this.#over) return;
    this.#waiting.push(bytes);
    this.#next.resolve();
  }

  end(): void {
    this.#over = true;
    this.#next.resolve();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const bytes = this.#waiting.shift();
      if (bytes !== undefined) yield bytes;
      else if (this.#over) return;
      else {
        await this.#next.promise;
        this.#next = Promise.withResolvers<void>();
      }
    }
  }
}

/** Returns the last name of a path in the container, or "" for `/`, `.` and `..` at the end. */
function nameOf(path: string): string {
  const name = posix.basename(path);
  return name === "." || name === ".." ? "" : name;
}

async function download(session: Session, place: Place, from: string, to: string): Promise<void> {
  const isDir = await isFolder(session, place, from);
  const inside = existsSync(to) && statSync(to).isDirectory();
  const target = inside ? join(to, nameOf(from)) : to;
  const root = isDir ? target : dirname(resolve(target));
  mkdirSync(root, { recursive: true });
  const where = isDir ? [from, "."] : [posix.dirname(from), `./${posix.basename(from)}`];
  const arrivals = new Arrivals();
  const unpacked = unpack(arrivals, {
    root,
    ...(!isDir && { only: basename(target) }),
    warn: (text) => session.io.err(`warning: ${text}\n`),
  }).finally(() => arrivals.end());
  const received = execute(session, place, ["tar", "cf", "-", "-C", ...where], {
    stdout: (bytes) => arrivals.push(bytes.slice()),
  }).finally(() => arrivals.end());
  const [{ status, stderr }, files] = await Promise.all([received, unpacked]);
  if (status !== 0) throw new OperatorError(stderr.trim());
  if (!isDir && files === 0) throw new OperatorError(`${from} is not a regular file`);
}

async function copy(session: Session, args: string[], options: Options): Promise<void> {
  const [fromText, toText, more] = args;
  if (fromText === undefined || toText === undefined || more !== undefined) {
    throw new UsageError("source and destination are required");
  }
  const [from, to] = [parseSpec(fromText), parseSpec(toText)];
  if (from.pod !== undefined && to.pod !== undefined) {
    throw new UsageError("one of src or dest must be a local file specification");
  }
  if (from.path === "" || to.path === "") throw new UsageError("filepath can not be empty");
  const remote = from.pod === undefined ? to : from;
  if (remote.pod === undefined) {
    throw new UsageError("one of src or dest must be a remote file specification");
  }
  const { there, place } = await placeOf(session, remote, options);
  if (from.pod === undefined) await upload(there, place, from.path, to.path);
  else await download(there, place, from.path, to.path);
}

export const define: VerbModule["define"] = (command, io) => {
  command.option("-c, --container <name>", "in this container");
  act(command, io, copy);
};
