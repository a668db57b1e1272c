/**
 * What the parts of the kubelet share: the parts themselves, and a pod as all but its own worker
 * see it. Interfaces stand for those parts that look at pods, so that no file needs itself.
 */
import type { Gate } from "#agents/kubelet/gate.ts";
import type { Images } from "#agents/kubelet/images.ts";
import type { Logs } from "#agents/kubelet/logs.ts";
import type { KubeletDeps } from "#agents/kubelet/options.ts";
import type { Plugins } from "#agents/kubelet/plugins.ts";
import type { Records } from "#agents/kubelet/records.ts";
import type {
  Member,
  Operation,
  PodRecord,
  PodState,
  ProbeView,
  RunRecord,
  Verdict,
} from "#agents/kubelet/types.ts";
import type { HostVolumes } from "#agents/volumes/volumes.ts";
import type { Recorder } from "#client/events.ts";
import type { Stored } from "#resources/meta.ts";
import type { LifecycleHandler, Pod } from "#resources/types.gen.ts";

/** One pod on this node: what is known of it, and what may be told to its worker. */
export interface PodWork {
  readonly context: Context;
  readonly uid: string;
  readonly pod: Stored<Pod>;
  /** The pod is from a file, and the API only has a mirror of it. */
  readonly mirrored: boolean;
  /** The pod in the API whose status tells of this one: itself, or its mirror. */
  shown: Stored<Pod> | undefined;
  /** False once the API has no such pod any more. */
  readonly exists: boolean;
  readonly record: PodRecord;
  readonly status: StatusTeller;
  readonly operations: Map<string, Operation>;
  readonly pulledFor: Map<string, number>;
  volumes: HostVolumes | undefined;
  readonly terminatingSinceMs: number | undefined;
  deletionTold: boolean;
  wake(): void;
  stop(): void;
  state(): PodState;
  member(name: string): Member;
  judge(verdict: Verdict): void;
  ended(name: string, id: string, end: Partial<RunRecord>): void;
  pauseEnded(id: string): void;
  whenEnded(run: RunRecord): Promise<void>;
  event(type: "Normal" | "Warning", reason: string, message: string, container?: string): void;
}

export interface StatusTeller {
  /** Why a container has not started. */
  waitingReason(container: string): string;
  /** The API has the pod's present status, or has lost the pod. */
  flush(): Promise<void>;
}

/** What the API last knew of an adopted container. */
export interface ProbedBefore {
  started: boolean;
  ready: boolean;
  startedMs: number;
  adopted?: boolean;
}

export interface ProbeKeeper {
  view(uid: string, container: string): ProbeView;
  add(worker: PodWork, member: Member, containerId: string, before?: ProbedBefore): void;
  fail(uid: string, container: string, message: string): void;
  remove(uid: string, container: string): void;
  stop(): void;
}

export interface HookRunner {
  /** Resolves when the hook is done or the signal aborts; throws an Error where it failed. */
  run(
    worker: PodWork,
    member: Member,
    containerId: string,
    handler: LifecycleHandler,
    signal: AbortSignal | undefined,
  ): Promise<void>;
}

export interface Context extends KubeletDeps {
  events: Recorder;
  images: Images;
  records: Records;
  probes: ProbeKeeper;
  hooks: HookRunner;
  logs: Logs;
  plugins: Plugins;
  /** Bounds the starts under way on the node. */
  gate: Gate;
  /** Of pods that the API has forgotten. */
  cleanups: Gate;
  podCidr(): string | undefined;
  allocatable(): Readonly<Record<string, string>>;
  /** The container id now belongs to this worker: its exit goes there. */
  own(containerId: string, worker: PodWork, name: string): void;
  /** Dead containers, removed some time soon, many in one call. */
  discard(containerIds: readonly string[]): void;
  /** A pod came, went or grew: others may have room now. */
  roomChanged(): void;
  /** Compare all containers with the records: an event may be lost. */
  resync(): void;
  /** Nothing is left of the pod. */
  forget(worker: PodWork): void;
}
