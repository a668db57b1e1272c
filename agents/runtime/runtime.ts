/**
 * The contract of a container runtime. The one real implementation, `nerdctl.ts`, is the only
 * caller of nerdctl; tests script another. Containers are addressed by id, never by name.
 */
import type { Channel } from "#base/channel.ts";

/** Labels by which the agent knows its containers again after a restart. */
export const labelKeys = {
  pod: "bramble.dev/pod",
  namespace: "bramble.dev/namespace",
  uid: "bramble.dev/uid",
  container: "bramble.dev/container",
  attempt: "bramble.dev/attempt",
  hash: "bramble.dev/hash",
  kind: "bramble.dev/kind",
  /** Set by the runtime itself. */
  logPath: "bramble.dev/log-path",
  stdinOnce: "bramble.dev/stdin-once",
} as const;

export interface Mount {
  source: string;
  target: string;
  readOnly: boolean;
  /** Together with `readOnly`: mounts below it as well. */
  recursiveReadOnly?: boolean;
  propagation?: "private" | "rslave" | "rshared";
  /** No programs are run from it. */
  noExec?: boolean;
}

/** Everything to start one container; the pod's network namespace is there already. */
export interface ContainerSpec {
  image: string;
  labels: Record<string, string>;
  /** As nerdctl's `--runtime`; the default one where left out. */
  runtime?: string;
  /** Containers of one group share a shim. */
  group: string;
  /** A network namespace that is there already, or the host's. */
  network: { namespacePath: string } | "host";
  hostname?: string;
  entrypoint?: readonly string[];
  args?: readonly string[];
  env: ReadonlyArray<{ name: string; value: string }>;
  workingDir?: string;
  mounts: readonly Mount[];
  devices: readonly string[];
  tmpfs: ReadonlyArray<{ target: string; options: string }>;
  logPath: string;
  tty: boolean;
  stdin: boolean;
  /** Closes the container's stdin when the first client that attached to it leaves. */
  stdinOnce?: boolean;
  user?: string;
  groups: readonly string[];
  /** Strict: none of the groups that the image gives its user. */
  groupsPolicy?: "Merge" | "Strict";
  privileged: boolean;
  capabilities: { add: readonly string[]; drop: readonly string[] };
  readOnlyRootfs: boolean;
  noNewPrivileges: boolean;
  /** "runtime/default", "unconfined" (also when left out, as upstream) or the path of a profile. */
  seccomp?: string;
  /** "unconfined" or the name of a loaded profile; the runtime's default when left out. */
  apparmor?: string;
  procMount?: "Default" | "Unmasked";
  sysctls: Record<string, string>;
  cgroupParent: string;
  cpuShares?: number;
  cpuQuotaMicros?: number;
  memoryLimitBytes?: number;
  pidsLimit?: number;
  /** Bytes by the size of a page as runc names it: `2MB`. */
  hugePageLimits?: Readonly<Record<string, number>>;
  /** Where memory runs out, all of its processes end, not one of them: control groups v2 only. */
  oomGroup?: boolean;
  /** None of its memory goes to swap, also without a memory limit: control groups v2 only. */
  noSwap?: boolean;
  /** Lowered to what this process may set: below zero needs CAP_SYS_RESOURCE. */
  oomScoreAdj?: number;
  pid?: { containerId: string } | "host";
  ipc?: { containerId: string } | "host" | "shareable";
  stopSignal?: string;
}

export interface Container {
  id: string;
  /** Those of `ContainerSpec.labels`, not the runtime's own. */
  labels: Record<string, string>;
  image: string;
  /** "created": made but not running, also what a power cut or a lost shim leaves. */
  state: "created" | "running" | "exited" | "unknown";
  pid: number | undefined;
  exitCode: number | undefined;
  createdAtMs: number;
  /** As far as the runtime knows; the agent keeps its own record. */
  startedAtMs: number | undefined;
  finishedAtMs: number | undefined;
}

export interface ImageInfo {
  id: string;
  names: readonly string[];
  digests: readonly string[];
  sizeBytes: number;
  /** USER of the image; "" is root. */
  user: string;
  /** STOPSIGNAL of the image, or "". */
  stopSignal: string;
}

/** Where the files of an image are wanted. */
export interface ImageVolume {
  /** Uid of the pod. */
  owner: string;
  volume: string;
  /** A folder that is there. */
  target: string;
}

export interface RuntimeEvent {
  type: "exit" | "oom" | "start" | "delete" | "image" | "reconnected";
  containerId: string;
  /** Process that exited: the container's own has execId "". */
  execId: string;
  exitCode: number;
  atMs: number;
}

export interface ExecOptions {
  command: readonly string[];
  tty: boolean;
  stdin: boolean;
}

/**
 * Errors carry a `reason` that the pod's status shows: ErrImagePull, ErrImageNeverPull,
 * RunContainerError …
 */
export class RuntimeError extends Error {
  override name = "RuntimeError";
  readonly reason: string;
  constructor(reason: string, message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

export interface Runtime {
  /** Names and versions for node status: `containerd://1.6.20`. */
  version(): Promise<string>;
  list(): Promise<readonly Container[]>;
  /**
   * Creates and starts; answers the id and pid. RuntimeError with the reason otherwise, and nothing
   * is left.
   */
  run(spec: ContainerSpec): Promise<{ id: string; pid: number | undefined }>;
  signal(id: string, signal: string): Promise<void>;
  /** Idempotent: ids that are gone are fine. */
  remove(ids: readonly string[]): Promise<void>;
  /** Runs a command to its end within the limit (probes, hooks). */
  execSync(
    id: string,
    command: readonly string[],
    timeoutMs: number,
  ): Promise<{ exitCode: number; output: string }>;
  /** An interactive process; the channel speaks v5.channel.k8s.io messages. */
  exec(id: string, options: ExecOptions): Promise<Channel>;
  attach(id: string, options: { tty: boolean; stdin: boolean }): Promise<Channel>;
  images(): Promise<readonly ImageInfo[]>;
  inspectImage(name: string): Promise<ImageInfo | undefined>;
  /** One pull of an image at a time, however many ask; durable on the disk before it resolves. */
  pull(name: string, auth?: { username: string; password: string }): Promise<ImageInfo>;
  /** Images of a tar file, by name; durable on the disk before it resolves. */
  load(path: string): Promise<readonly string[]>;
  /** Mounts the files of an image at a folder, read-only; they stay until `releaseImages`. */
  mountImage(name: string, volume: ImageVolume): Promise<void>;
  /** Of one owner, or all. What is mounted must be unmounted before. */
  releaseImages(owner?: string): Promise<void>;
  /** By name or id; with an id, all its names. */
  removeImage(name: string): Promise<void>;
  /**
   * Calls until `signal` aborts; reconnects by itself and then reports `reconnected`: look at
   * everything.
   */
  watch(listener: (event: RuntimeEvent) => void, signal: AbortSignal): void;
}
