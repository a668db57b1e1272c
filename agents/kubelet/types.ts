/**
 * What the kubelet knows of a pod: its API object, the durable record of what was done for it, and
 * what is going on now. `plan.ts` decides from it, `status.ts` tells it, `worker.ts` keeps it.
 */
import type { ImageInfo } from "#agents/runtime/runtime.ts";
import type { Stored } from "#resources/meta.ts";
import type { Container, Pod, ResourceRequirements } from "#resources/types.gen.ts";

/** One run of a container, from its start to its end. */
export interface RunRecord {
  /** The runtime's id; empty where the runtime could not start it. */
  id: string;
  attempt: number;
  /** `sandboxes` of the record when it was started: init containers run again in a new one. */
  sandbox: number;
  image: string;
  imageId: string;
  /** Of what a change of makes the kubelet replace the container: its image. */
  hash: string;
  startedAtMs: number;
  finishedAtMs?: number;
  exitCode?: number;
  signal?: number;
  reason?: string;
  message?: string;
  /** What the kernel holds it to now. */
  resources?: ResourceRequirements;
}

export interface ContainerRecord {
  restarts: number;
  current?: RunRecord;
  /** The run before `current`. */
  last?: RunRecord;
  /** Wait before the next restart, and when it was last made longer (crash loop back-off). */
  backoff?: { ms: number; atMs: number };
}

/** Why the whole pod ends: eviction, deadline, refused admission. */
export interface Verdict {
  reason: string;
  message: string;
  /** Seconds for the containers to end; the pod's own grace period where left out. */
  graceSeconds?: number;
  /** An eviction by the node, which sets the condition DisruptionTarget. */
  disruption?: boolean;
}

/** What the pod's containers share. */
export interface Sandbox {
  id: string;
  ips: readonly string[];
  netnsPath: string;
  /** The first process of a shared process namespace; "" while it must be started (again). */
  pauseId?: string;
}

/** Kept in `DATA_DIR/pods/UID/record.json`; survives power cuts. */
export interface PodRecord {
  uid: string;
  namespace: string;
  name: string;
  /** Of the boot in which the containers were started. */
  bootId: string;
  startTimeMs: number;
  sandbox?: Sandbox;
  /** Another runtime than the default, as its RuntimeClass says. */
  runtime?: string;
  /** Sandboxes made so far. */
  sandboxes: number;
  /** A main container was started in this sandbox: init containers are over. */
  initialized: boolean;
  containers: Record<string, ContainerRecord>;
  verdict?: Verdict;
  /** Resources that the node gave each container; the spec may wish for others by now. */
  allocated?: Record<string, ResourceRequirements>;
  /** Paths of the devices that each container was given. */
  devices?: Record<string, string[]>;
  /** Devices of plugins: ids by resource, for each container. */
  plugged?: Record<string, Record<string, string[]>>;
  /** Why the wish is not granted. */
  resizePending?: { reason: "Infeasible" | "Deferred"; message: string };
  /** Everything of the pod on this node is gone but this record and the logs. */
  cleaned: boolean;
}

export type Role = "init" | "sidecar" | "main" | "ephemeral";

export interface Member {
  role: Role;
  spec: Container;
  /** Ephemeral containers: whose process namespace to join. */
  target?: string;
}

/** The last failure of one operation; what it was about tells whether it still counts. */
export interface Failure {
  reason: string;
  message: string;
  count: number;
  atMs: number;
  subject: string;
}

export interface ProbeView {
  started: boolean;
  ready: boolean;
  /** A liveness or startup probe gave up: why the container must be restarted. */
  unhealthy?: { message: string; graceSeconds?: number };
}

/** An operation under way. */
export interface Operation {
  startedAtMs: number;
  /** Of a stop: the grace it was started with. */
  graceMs?: number;
}

export interface PodState {
  pod: Stored<Pod>;
  /** False once the API has no such pod any more. */
  exists: boolean;
  record: PodRecord;
  now: number;
  operations: ReadonlyMap<string, Operation>;
  failures: ReadonlyMap<string, Failure>;
  /** The image where the node has it. */
  image(name: string): ImageInfo | undefined;
  /** Container name -> attempt for which the image was pulled or found. */
  pulledFor: ReadonlyMap<string, number>;
  volumesReady: boolean;
  probe(container: string): ProbeView;
  /** The API took the final deletion; a finalizer may still hold the object. */
  deletionTold: boolean;
  /** Since when the pod is being stopped. */
  terminatingSinceMs: number | undefined;
  /** When its specification last changed under a running pod. */
  changedAtMs: number | undefined;
  node: { name: string; ips: readonly string[] };
}

export type Step =
  | { do: "attach" }
  | { do: "volumes" }
  | { do: "image"; container: string; image: string; policy: string; attempt: number }
  | { do: "start"; container: string; attempt: number; afterFailure: boolean }
  | { do: "stop"; container: string; graceMs: number; preStop: boolean; message: string }
  | { do: "resize"; container: string }
  | { do: "judge"; verdict: Verdict }
  | { do: "cleanup" }
  | { do: "finish" };

export interface PodPlan {
  steps: readonly Step[];
  /** Look again after this many milliseconds. */
  againMs?: number;
}
