/**
 * Keeps one pod: what is known of it, what is under way, and the loop "look, plan, begin". It looks
 * again after every change of the pod, end of an operation, exit of a container, probe result and
 * timer.
 */
import type { Context, PodWork } from "#agents/kubelet/context.ts";
import { planPod } from "#agents/kubelet/plan.ts";
import { isRunning, membersOf, podName } from "#agents/kubelet/pod.ts";
import { volumeRequest } from "#agents/kubelet/sources.ts";
import { logFile } from "#agents/kubelet/start.ts";
import { backoffsOf } from "#agents/kubelet/status.ts";
import { StatusWriter } from "#agents/kubelet/statuswriter.ts";
import { operationKey, perform } from "#agents/kubelet/steps.ts";
import type {
  Failure,
  Member,
  Operation,
  PodRecord,
  PodState,
  RunRecord,
  Step,
  Verdict,
} from "#agents/kubelet/types.ts";
import type { HostVolumes } from "#agents/volumes/volumes.ts";
import { must } from "#base/assert.ts";
import type { Cancel } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** An error that names its reason, as `RuntimeError` and the kubelet's own do. */
const reasonOf = (error: unknown, otherwise: string): string =>
  error instanceof Error && "reason" in error && typeof error.reason === "string"
    ? error.reason
    : otherwise;

/** The downward API shows labels, annotations and resources, which may change. */
const showsOtherFields = (before: Pod, after: Pod): boolean =>
  !Bun.deepEquals(before.metadata?.labels, after.metadata?.labels) ||
  !Bun.deepEquals(before.metadata?.annotations, after.metadata?.annotations) ||
  before.metadata?.generation !== after.metadata?.generation;

const WORKING_REASON: Record<string, string> = {
  attach: "FailedCreatePodSandBox",
  volumes: "FailedMount",
  cleanup: "FailedKillPod",
  finish: "FailedToDelete",
  resize: "ResizeError",
};

export class PodWorker implements PodWork {
  readonly context: Context;
  readonly uid: string;
  pod: Stored<Pod>;
  readonly mirrored: boolean;
  /** The pod in the API whose status tells of this one: itself, or its mirror. */
  shown: Stored<Pod> | undefined;
  /** False once the API has no such pod any more. */
  exists = true;
  readonly record: PodRecord;
  readonly status: StatusWriter;
  readonly operations = new Map<string, Operation>();
  readonly failures = new Map<string, Failure>();
  readonly pulledFor = new Map<string, number>();
  volumes: HostVolumes | undefined;
  terminatingSinceMs: number | undefined;
  deletionTold = false;
  #changedAtMs: number | undefined;
  readonly #told = new Map<string, string>();
  #queued = false;
  #stopped = false;
  #timer: Cancel | undefined;
  readonly #ends = new Map<string, PromiseWithResolvers<void>>();

  /** `mirrored`: the pod is from a file, and the API only has a mirror of it. */
  constructor(context: Context, pod: Stored<Pod>, record: PodRecord, mirrored = false) {
    this.context = context;
    this.pod = pod;
    this.mirrored = mirrored;
    this.uid = pod.metadata.uid;
    this.record = record;
    this.shown = mirrored ? undefined : pod;
    this.status = new StatusWriter(this);
  }

  update(pod: Stored<Pod> | undefined): void {
    const before = this.pod;
    if (pod === undefined) this.exists = false;
    else {
      this.pod = pod;
      if (!this.mirrored) this.shown = pod;
      if (before.metadata.generation !== pod.metadata.generation) {
        this.#changedAtMs = this.context.clock.now();
      }
    }
    if (this.volumes !== undefined && showsOtherFields(before, this.pod)) {
      this.context.volumes.refresh(volumeRequest(this));
    }
    this.wake();
  }

  /** The API shows this pod of a file by that mirror. */
  mirroredBy(pod: Stored<Pod>): void {
    this.shown = pod;
    this.wake();
  }

  /** Looks again soon; many calls of one turn are one look. */
  wake(): void {
    if (this.#queued || this.#stopped) return;
    this.#queued = true;
    queueMicrotask(() => {
      this.#queued = false;
      if (!this.#stopped) this.#lookSafely();
    });
  }

  /** A fault of ours in one pod must not end the node: it is told, and looked at again later. */
  #lookSafely(): void {
    try {
      this.#look();
    } catch (error) {
      this.#fault(error);
      this.#timer = this.context.clock.after(limits.faultRetryMs, () => this.wake());
    }
  }

  #fault(error: unknown): void {
    const pod = `${this.record.namespace}/${this.record.name}`;
    const stack = error instanceof Error ? error.stack : undefined;
    this.context.log.error("a fault of the kubelet", { pod, error: messageOf(error), stack });
  }

  /** Nothing more is done for the pod by this process; its containers go on. */
  stop(): void {
    this.#stopped = true;
    this.#timer?.();
    this.status.stop();
    for (const name of Object.keys(this.record.containers)) {
      this.context.probes.remove(this.uid, name);
    }
  }

  state(): PodState {
    const { context } = this;
    return {
      pod: this.pod,
      exists: this.exists,
      record: this.record,
      now: context.clock.now(),
      operations: this.operations,
      failures: this.failures,
      image: (name) => context.images.get(name),
      pulledFor: this.pulledFor,
      volumesReady: this.volumes !== undefined,
      probe: (name) => context.probes.view(this.uid, name),
      deletionTold: this.deletionTold,
      changedAtMs: this.#changedAtMs,
      terminatingSinceMs: this.terminatingSinceMs,
      node: { name: context.options.nodeName, ips: context.options.nodeIps() },
    };
  }

  member(name: string): Member {
    return must(
      membersOf(this.pod).find(({ spec }) => spec.name === name),
      `container ${name}`,
    );
  }

  #look(): void {
    const going = !this.exists || this.pod.metadata.deletionTimestamp !== undefined;
    if (going || this.record.verdict) this.terminatingSinceMs ??= this.context.clock.now();
    const state = this.state();
    const { steps, againMs } = planPod(state);
    for (const step of steps) this.#begin(step);
    this.#tellBackoffs(state);
    this.status.report();
    this.#timer?.();
    this.#timer = undefined;
    if (againMs !== undefined) {
      this.#timer = this.context.clock.after(againMs, () => this.wake());
    }
  }

  /** Once for each crash and each failed pull, while the next try waits. */
  #tellBackoffs(state: PodState): void {
    for (const { waiting, container, key } of backoffsOf(state)) {
      if (this.#told.get(container) === key) continue;
      this.#told.set(container, key);
      if (waiting === "CrashLoopBackOff") {
        const where = `${container} in pod ${podName(this.pod)}`;
        const text = `Back-off restarting failed container ${where}`;
        this.event("Warning", "BackOff", text, container);
      } else {
        const { image = "" } = this.member(container).spec;
        this.event("Normal", "BackOff", `Back-off pulling image "${image}"`, container);
        this.event("Warning", "Failed", "Error: ImagePullBackOff", container);
      }
    }
  }

  #begin(step: Step): void {
    if (step.do === "judge") {
      this.judge(step.verdict);
      return;
    }
    const key = operationKey(step);
    const under = this.operations.get(key);
    if (under !== undefined) {
      if (step.do === "stop") under.graceMs = step.graceMs;
      return;
    }
    const operation: Operation = { startedAtMs: this.context.clock.now() };
    if (step.do === "stop") operation.graceMs = step.graceMs;
    this.operations.set(key, operation);
    perform(this, step, operation)
      .then(
        () => this.#done(key, operation),
        (error: unknown) => this.#failed(key, step, error),
      )
      .catch((error: unknown) => this.#fault(error))
      .finally(() => {
        this.operations.delete(key);
        this.wake();
      });
  }

  /** The pod ends, for a reason of the node's. The first reason counts. */
  judge(verdict: Verdict): void {
    if (this.record.verdict !== undefined) return;
    this.record.verdict = verdict;
    void this.context.records.save(this.record);
    this.event("Warning", verdict.reason, verdict.message);
    this.wake();
  }

  #done(key: string, operation: Operation): void {
    this.failures.delete(key);
    const ms = this.context.clock.now() - operation.startedAtMs;
    this.context.log.debug("step done", { pod: this.record.name, step: key, ms });
  }

  #failed(key: string, step: Step, error: unknown): void {
    if (this.#stopped) return;
    const subject = step.do === "image" ? step.image : step.do === "start" ? this.#hash(step) : "";
    const before = this.failures.get(key);
    const count = before?.subject === subject ? before.count + 1 : 1;
    const message = messageOf(error);
    const reason = reasonOf(error, WORKING_REASON[step.do] ?? "RunContainerError");
    const atMs = this.context.clock.now();
    this.failures.set(key, { reason, message, count, atMs, subject });
    const pod = `${this.record.namespace}/${this.record.name}`;
    this.context.log.warn(`${step.do} failed`, { pod, reason, error: message });
    const warning = WORKING_REASON[step.do];
    if (warning !== undefined && step.do !== "finish") this.event("Warning", warning, message);
  }

  #hash(step: Extract<Step, { do: "start" }>): string {
    const { spec } = this.member(step.container);
    return `${spec.name}=${spec.image ?? ""}`;
  }

  /** Keeps the end of a container's run; the message is read by the caller. */
  ended(name: string, id: string, end: Partial<RunRecord>): void {
    const run = this.record.containers[name]?.current;
    if (!isRunning(run) || run.id !== id) return;
    Object.assign(run, { finishedAtMs: this.context.clock.now(), exitCode: 0 }, end);
    this.context.probes.remove(this.uid, name);
    this.context.discard([id]);
    this.context.logs.end(logFile(this, name, run.attempt));
    void this.context.records.save(this.record);
    this.#ends.get(id)?.resolve();
    this.#ends.delete(id);
    this.wake();
  }

  /** The shared process namespace is over, and with it every process that was in it. */
  pauseEnded(id: string): void {
    const { record } = this;
    if (record.sandbox?.pauseId !== id) return;
    record.sandbox = { ...record.sandbox, pauseId: "" };
    // As with a new sandbox: init containers run again.
    record.sandboxes++;
    record.initialized = false;
    this.context.discard([id]);
    void this.context.records.save(record);
    this.wake();
  }

  /** Resolves when the run is over. */
  whenEnded(run: RunRecord): Promise<void> {
    if (!isRunning(run)) return Promise.resolve();
    let waiting = this.#ends.get(run.id);
    if (waiting === undefined) {
      waiting = Promise.withResolvers<void>();
      this.#ends.set(run.id, waiting);
    }
    return waiting.promise;
  }

  event(type: "Normal" | "Warning", reason: string, message: string, container?: string): void {
    const member = membersOf(this.pod).find(({ spec }) => spec.name === container);
    const list =
      member?.role === "main"
        ? "containers"
        : member?.role === "ephemeral"
          ? "ephemeralContainers"
          : "initContainers";
    const { metadata } = this.shown ?? this.pod;
    this.context.events.record({
      about: { apiVersion: "v1", kind: "Pod", metadata },
      ...(member && { fieldPath: `spec.${list}{${container}}` }),
      type,
      reason,
      message,
    });
  }
}
