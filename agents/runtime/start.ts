/**
 * Starts what nerdctl has made. Its own start would run OCI hooks that a pod has no use for, knows
 * no shared IPC namespace, and can't keep the stdin of a detached container. Here stdin is a named
 * pipe whose other end the shim keeps open by itself: it survives a restart of the agent.
 */
import { existsSync } from "node:fs";
import { mkdir, open } from "node:fs/promises";
import { basename, dirname } from "node:path";
import type { Containerd, ContainerRecord } from "#agents/runtime/containerd.ts";
import type { Unstarted } from "#agents/runtime/moulds.ts";
import { finishSpec, type IpcLeader, sharedShm } from "#agents/runtime/ocispec.ts";
import { makePipes } from "#agents/runtime/pipes.ts";
import { type ContainerSpec, RuntimeError } from "#agents/runtime/runtime.ts";
import type { Turns } from "#agents/runtime/turns.ts";
import { messageOf } from "#base/errors.ts";
import type { Run } from "#base/process.ts";

/**
 * The shim of a group goes with its last container: when that is removed while the next one is
 * started, containerd finds the shim, and then nobody. The next shim is a new one.
 */
const LEAVING_SHIM =
  /failed to create shim task: ttrpc: closed|failed to start shim: .*\/s\/\w+: connect: /;

/** Logs may hold anything; the agent serves them. */
const LOG_MODE = 0o640;

export interface StartParts {
  containerd: Containerd;
  run: Run;
  runDir: string;
  /** One start a shim at a time (`exec.ts`). */
  starts: Turns;
}

/** Where the stdin of a container is, if it has one. */
export function stdinPipe(runDir: string, id: string): string {
  return `${runDir}/stdin/${id}`;
}

/**
 * Both streams go into one file, by two spellings of its path: for equal ones (`file://` makes them
 * so) the shim closes the file at the end of stdout and drops what is left of stderr (containerd
 * 1.6 to 2.0).
 */
function outputs({ tty, logPath }: ContainerSpec): { stdout: string; stderr: string } {
  if (!tty) return { stdout: logPath, stderr: `${dirname(logPath)}/./${basename(logPath)}` };
  // A terminal's output can't go to a file: the shim wants a pipe or a program. `cat` is the
  // smallest.
  const quoted = `'${logPath.replaceAll("'", `'\\''`)}'`;
  const script = encodeURIComponent(`exec 5>&-; exec cat <&3 >>${quoted}`);
  return { stdout: `binary:///bin/sh?-c=${script}`, stderr: "" };
}

function leaderEnded(id: string): RuntimeError {
  const text = `container ${id}, whose IPC namespace is shared, is not running`;
  return new RuntimeError("CreateContainerError", text);
}

interface Leader extends IpcLeader {
  containerId: string;
}

async function ipcLeader(parts: StartParts, spec: ContainerSpec): Promise<Leader | undefined> {
  if (typeof spec.ipc !== "object") return undefined;
  const { containerId } = spec.ipc;
  const task = await parts.containerd.task(containerId);
  if (task?.status !== "running") throw leaderEnded(containerId);
  const shm = sharedShm((await made(parts, containerId)).spec());
  const source = shm !== undefined && existsSync(shm.source) ? shm : undefined;
  return { containerId, pid: task.pid, shm: source };
}

/** One whose leader ended while it was made: no run of its program failed, so none is counted. */
async function startError(
  { containerd }: StartParts,
  leader: Leader | undefined,
  error: unknown,
): Promise<unknown> {
  if (leader === undefined) return error;
  const { containerId, pid } = leader;
  // runc may see that its process is gone before the shim says so.
  const missed = messageOf(error).includes(`/proc/${pid}/ns/ipc: no such file`);
  const gone = missed || (await containerd.task(containerId))?.status !== "running";
  return gone ? leaderEnded(containerId) : error;
}

async function made(parts: StartParts, id: string): Promise<ContainerRecord> {
  const record = await parts.containerd.container(id);
  if (record !== undefined) return record;
  throw new RuntimeError("CreateContainerError", `container ${id} is gone before its start`);
}

/** What nerdctl has made, and not started. */
export async function unstarted(parts: StartParts, id: string): Promise<Unstarted> {
  const record = await made(parts, id);
  return { record, commit: (finished) => parts.containerd.updateSpec(id, finished) };
}

/** Answers the pid of the container's first process. */
export async function startContainer(
  parts: StartParts,
  { record, commit }: Unstarted,
  spec: ContainerSpec,
): Promise<number> {
  const { containerd, run, runDir } = parts;
  const { id } = record;
  const leader = await ipcLeader(parts, spec);
  await commit(finishSpec(record.spec(), { spec, ipc: leader }));
  await mkdir(dirname(spec.logPath), { recursive: true });
  await (await open(spec.logPath, "a", LOG_MODE)).close();
  let stdin = "";
  if (spec.stdin) {
    stdin = stdinPipe(runDir, id);
    await mkdir(dirname(stdin), { recursive: true, mode: 0o700 });
    await makePipes(run, [stdin]);
  }
  const io = { stdin, ...outputs(spec), terminal: spec.tty };
  const start = () => containerd.startTask(record, io);
  return parts.starts.with(spec.group, () =>
    start().catch(async (error: unknown) => {
      if (!LEAVING_SHIM.test(messageOf(error))) throw await startError(parts, leader, error);
      return start();
    }),
  );
}
