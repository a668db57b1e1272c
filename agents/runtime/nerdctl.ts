/**
 * The container runtime: the only caller of nerdctl. nerdctl makes, starts and removes containers
 * and fetches images; what is there, signals, events and extra processes come from containerd's API
 * on its socket, where a call costs a millisecond instead of a process.
 */
import { mkdir, readFile, rm } from "node:fs/promises";
import { createArguments } from "#agents/runtime/args.ts";
import { Attacher } from "#agents/runtime/attach.ts";
import { Caller } from "#agents/runtime/caller.ts";
import {
  Containerd,
  type ContainerRecord,
  containerdGrpc,
  type Task,
} from "#agents/runtime/containerd.ts";
import { watchEvents } from "#agents/runtime/containerd-events.ts";
import { Execs } from "#agents/runtime/exec.ts";
import { ImageMounts } from "#agents/runtime/imagemounts.ts";
import { Images } from "#agents/runtime/images.ts";
import { CastError, Moulds, type Unstarted } from "#agents/runtime/moulds.ts";
import { parseImageName } from "#agents/runtime/names.ts";
import { Puller } from "#agents/runtime/pull.ts";
import {
  type Container,
  type ContainerSpec,
  type ExecOptions,
  type ImageInfo,
  type ImageVolume,
  labelKeys,
  type Runtime,
  RuntimeError,
  type RuntimeEvent,
} from "#agents/runtime/runtime.ts";
import { signalNumber } from "#agents/runtime/signals.ts";
import { type StartParts, startContainer, unstarted } from "#agents/runtime/start.ts";
import { machineBootId, Suspects } from "#agents/runtime/suspects.ts";
import { Turns } from "#agents/runtime/turns.ts";
import { WorkDirs } from "#agents/runtime/workdirs.ts";
import { assert } from "#base/assert.ts";
import type { Channel } from "#base/channel.ts";
import type { Clock } from "#base/clock.ts";
import { messageOf, TimeoutError } from "#base/errors.ts";
import type { Grpc } from "#base/grpc.ts";
import { limits } from "#base/limits.ts";
import type { Log } from "#base/log.ts";
import type { Run } from "#base/process.ts";

export interface NerdctlOptions {
  run: Run;
  /** Path or name of nerdctl. */
  binary: string;
  /** containerd's socket. */
  address: string;
  namespace: string;
  /** For nerdctl's own state; on the disk. */
  dataRoot: string;
  /** For pipes and files with secrets; must not outlive a reboot: under /run. */
  runDir: string;
  log: Log;
  clock: Clock;
  /** Folders of containerd's hosts.toml: mirrors and certificates of registries. */
  hostsDirs?: readonly string[];
  /**
   * The node's own credentials for registries and mirrors: Docker's config.json. Need not be there.
   */
  registryConfig?: string;
  /** HTTPS_PROXY and its like, for pulls. */
  pullEnv?: Record<string, string>;
  /** Of this run of the machine; the kernel's own when left out. */
  bootId?: () => Promise<string>;
  /** Whether an OOM score below zero may be set (CAP_SYS_RESOURCE). */
  canLowerOomScore?: boolean;
}

/** Parts of runc's words for "there is no such command": the container never ran. */
const START_FAILURE =
  /failed to create shim task|OCI runtime|failed to start shim|failed to start container|runc /;

function stateOf(task: Task | undefined): Container["state"] {
  switch (task?.status) {
    case undefined:
    case "created":
      return "created";
    case "running":
    case "paused":
      return "running";
    case "stopped":
      return "exited";
    default:
      return "unknown";
  }
}

function ownLabels(labels: Record<string, string>): Record<string, string> {
  const prefix = labelKeys.pod.slice(0, labelKeys.pod.indexOf("/") + 1);
  return Object.fromEntries(Object.entries(labels).filter(([key]) => key.startsWith(prefix)));
}

class NerdctlRuntime implements Runtime {
  readonly #options: NerdctlOptions;
  readonly #grpc: Grpc;
  readonly #containerd: Containerd;
  readonly #caller: Caller;
  readonly #execs: Execs;
  readonly #attacher: Attacher;
  readonly #images: Images;
  readonly #puller: Puller;
  readonly #imageMounts: ImageMounts;
  /** Start times seen by this process: containerd keeps none. */
  readonly #startedAtMs = new Map<string, number>();
  readonly #starts = new Turns();
  readonly #moulds: Moulds;
  readonly #workDirs: WorkDirs;
  #runs = 0;

  constructor(options: NerdctlOptions) {
    this.#options = options;
    const { run, clock, log, runDir, address, namespace, binary, dataRoot } = options;
    this.#grpc = containerdGrpc(address, namespace);
    this.#containerd = new Containerd(this.#grpc, limits.containerdMsMax);
    const caller = {
      run,
      binary,
      address,
      namespace,
      dataRoot,
      hostsDirs: options.hostsDirs ?? [],
      timeoutMs: limits.processMsMax,
    };
    this.#caller = new Caller({ ...caller, callsMax: limits.runtimeCallsMax });
    const containerd = this.#containerd;
    this.#moulds = new Moulds(containerd);
    this.#workDirs = new WorkDirs(containerd, namespace);
    const starts = this.#starts;
    this.#execs = new Execs({ containerd, run, clock, log, runDir, starts });
    this.#attacher = new Attacher({ containerd, clock, log, runDir });
    const architecture = process.arch === "x64" ? "amd64" : process.arch;
    const suspects = new Suspects({
      containerd,
      log,
      dir: `${dataRoot}/fetching`,
      bootId: options.bootId ?? (() => machineBootId(log)),
      removeContainers: (ids) => this.remove(ids),
    });
    const platform = { os: "linux", architecture };
    this.#images = new Images({ containerd, platform, log, suspects });
    this.#imageMounts = new ImageMounts(containerd, run);
    this.#puller = new Puller({
      caller: { ...caller, callsMax: limits.imagePullsMax },
      containerd,
      images: this.#images,
      suspects,
      log,
      env: options.pullEnv ?? {},
      runDir,
      registryConfig: options.registryConfig,
    });
  }

  async version(): Promise<string> {
    return `containerd://${await this.#containerd.version()}`;
  }

  async list(): Promise<readonly Container[]> {
    // Tasks first: a container that is removed between the two calls is then not shown as created.
    const tasks = new Map((await this.#containerd.tasks()).map((task) => [task.containerId, task]));
    const records = await this.#containerd.containers();
    const present = new Set(records.map((record) => record.id));
    for (const id of this.#startedAtMs.keys()) if (!present.has(id)) this.#startedAtMs.delete(id);
    return Promise.all(
      records.map(async (record) => {
        const task = tasks.get(record.id) ?? (await this.#unlisted(record.id));
        return this.#container(record, task);
      }),
    );
  }

  /**
   * containerd 2 leaves out of its list what its shim does not tell of in two seconds; that may
   * well run.
   */
  async #unlisted(containerId: string): Promise<Task | undefined> {
    try {
      return await this.#containerd.task(containerId);
    } catch (error) {
      this.#options.log.warn("state not known", { id: containerId, error: messageOf(error) });
      return { containerId, pid: 0, status: "unknown", exitCode: 0, exitedAtMs: undefined };
    }
  }

  #container(record: ContainerRecord, task: Task | undefined): Container {
    const state = stateOf(task);
    const ended = state === "exited";
    return {
      id: record.id,
      labels: ownLabels(record.labels),
      image: record.image,
      state,
      pid: state === "running" ? task?.pid : undefined,
      exitCode: ended ? task?.exitCode : undefined,
      createdAtMs: record.createdAtMs,
      startedAtMs: this.#startedAtMs.get(record.id),
      finishedAtMs: ended ? task?.exitedAtMs : undefined,
    };
  }

  async run(spec: ContainerSpec): Promise<{ id: string; pid: number | undefined }> {
    assert(spec.image !== "", "a container has an image");
    const { runDir } = this.#options;
    await mkdir(`${runDir}/run`, { recursive: true, mode: 0o700 });
    const adjusted = this.#adjusted(spec);
    try {
      const shape = await this.#moulds.shape(adjusted);
      const again = shape && this.#moulds.cast(shape, adjusted);
      if (!again) return await this.#runNew(adjusted, shape);
      try {
        return await this.#start(again, spec);
      } catch (error) {
        await this.#undo(again.record.id);
        if (!(error instanceof CastError)) throw error;
        if (shape) this.#moulds.forget(shape);
        this.#options.log.debug("container made anew by nerdctl", { error: messageOf(error) });
        return await this.#runNew(adjusted, shape);
      }
    } catch (error) {
      throw this.#runError(error);
    }
  }

  /** Made by nerdctl; others of its shape are made after it. */
  async #runNew(spec: ContainerSpec, shape: string | undefined) {
    const cidFile = `${this.#options.runDir}/run/${process.pid}-${this.#runs++}`;
    try {
      const made = await unstarted(this.#startParts, await this.#create(spec, cidFile));
      if (shape) await this.#moulds.learn(shape, made.record, spec);
      return await this.#start(made, spec);
    } catch (error) {
      await this.#undo((await readFile(cidFile, "utf8").catch(() => "")).trim());
      throw error;
    } finally {
      await rm(cidFile, { force: true });
    }
  }

  get #startParts(): StartParts {
    const { run, runDir } = this.#options;
    return { containerd: this.#containerd, run, runDir, starts: this.#starts };
  }

  async #start(made: Unstarted, spec: ContainerSpec): Promise<{ id: string; pid: number }> {
    const { id } = made.record;
    const pid = await startContainer(this.#startParts, made, spec);
    this.#startedAtMs.set(id, this.#options.clock.now());
    return { id, pid };
  }

  #adjusted(spec: ContainerSpec): ContainerSpec {
    const own = {
      [labelKeys.logPath]: spec.logPath,
      ...(spec.stdinOnce === true && { [labelKeys.stdinOnce]: "true" }),
    };
    const score = spec.oomScoreAdj;
    const least = this.#options.canLowerOomScore === true ? -1000 : 0;
    return {
      ...spec,
      labels: { ...spec.labels, ...own },
      ...(score !== undefined && { oomScoreAdj: Math.max(least, score) }),
    };
  }

  async #create(spec: ContainerSpec, cidFile: string): Promise<string> {
    const output = await this.#caller.call({ argv: createArguments(spec, cidFile) });
    const id = output.trim().split("\n").at(-1) ?? "";
    assert(/^[0-9a-f]{64}$/.test(id), `nerdctl answers an id, not ${JSON.stringify(output)}`);
    return id;
  }

  #runError(error: unknown): RuntimeError {
    if (error instanceof RuntimeError) return error;
    const message = messageOf(error);
    if (error instanceof TimeoutError) return new RuntimeError("RunContainerError", message, error);
    const reason = START_FAILURE.test(message) ? "RunContainerError" : "CreateContainerError";
    return new RuntimeError(reason, message, error);
  }

  /** Takes away what a failed run has left; nerdctl wrote the id before it made anything. */
  async #undo(id: string): Promise<void> {
    if (id === "") return;
    try {
      await this.remove([id]);
    } catch (error) {
      // The next sweep finds it: it carries the labels of its pod.
      this.#options.log.warn("failed container not removed", { id, error: messageOf(error) });
    }
  }

  async signal(id: string, signal: string): Promise<void> {
    assert(id !== "", "a container has an id");
    await this.#containerd.kill(id, "", signalNumber(signal));
  }

  async remove(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#caller.call({ argv: ["rm", "--force", "--volumes", ...ids] });
    for (const id of ids) {
      this.#startedAtMs.delete(id);
      await this.#attacher.forget(id);
    }
    // `rm --force` is content with whatever happened.
    const left = await Promise.all(ids.map((id) => this.#containerd.container(id)));
    const stuck = left.flatMap((record) => (record === undefined ? [] : [record.id]));
    if (stuck.length > 0) {
      throw new RuntimeError("KillContainerError", `not removed: ${stuck.join(", ")}`);
    }
    await this.#workDirs.remove(ids);
  }

  execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number,
  ): Promise<{ exitCode: number; output: string }> {
    assert(command.length > 0, "a command to run");
    return this.#execs.execSync(id, command, timeoutMs);
  }

  exec(id: string, options: ExecOptions): Promise<Channel> {
    assert(options.command.length > 0, "a command to run");
    return this.#execs.exec(id, options);
  }

  attach(id: string, options: { tty: boolean; stdin: boolean }): Promise<Channel> {
    return this.#attacher.attach(id, options);
  }

  images(): Promise<readonly ImageInfo[]> {
    return this.#images.list();
  }

  inspectImage(name: string): Promise<ImageInfo | undefined> {
    return this.#images.inspect(name);
  }

  pull(name: string, auth?: { username: string; password: string }): Promise<ImageInfo> {
    return this.#puller.pull(name, auth);
  }

  load(path: string): Promise<readonly string[]> {
    return this.#puller.load(path);
  }

  async mountImage(name: string, volume: ImageVolume): Promise<void> {
    const layers = await this.#images.layersOf(name);
    if (layers === undefined) throw new RuntimeError("ErrImagePull", `image ${name} is gone`);
    await this.#imageMounts.mount({ layers, ...volume });
  }

  releaseImages(owner?: string): Promise<void> {
    return this.#imageMounts.release(owner);
  }

  async removeImage(name: string): Promise<void> {
    const image = await this.#images.inspect(name);
    const names = image?.id === name || !parseImageName(name) ? image?.names : [name];
    for (const each of names ?? []) {
      await this.#containerd.removeImage(parseImageName(each)?.full ?? each);
    }
  }

  /** Disk that a container's own files take; undefined when it is gone. Costs a walk over them. */
  async usage(id: string): Promise<{ bytes: number; inodes: number } | undefined> {
    const record = await this.#containerd.container(id);
    return record && this.#containerd.usage(record);
  }

  /** Folders in which containerd keeps images and containers. */
  roots(): Promise<readonly string[]> {
    return this.#containerd.roots();
  }

  watch(listener: (event: RuntimeEvent) => void, signal: AbortSignal): void {
    const { namespace, clock, log } = this.#options;
    // An own connection: events keep flowing when the other breaks under a large answer.
    const grpc = containerdGrpc(this.#options.address, namespace);
    signal.addEventListener("abort", () => grpc.close(), { once: true });
    void watchEvents({ grpc, namespace, clock, log }, listener, signal);
  }

  close(): void {
    this.#grpc.close();
  }
}

/**
 * A runtime over nerdctl and the containerd that it talks to. `close` when it is no longer needed.
 */
export function createNerdctl(options: NerdctlOptions): NerdctlRuntime {
  return new NerdctlRuntime(options);
}
