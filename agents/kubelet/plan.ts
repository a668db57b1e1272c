/**
 * What to do next for one pod. Pure and level-triggered: it is asked again after every change, and
 * what is under way stands in `operations`, so that nothing is begun twice.
 */
import { allocatedOf, changedResources, needsRestart } from "#agents/kubelet/allocate.ts";
import {
  anyRunning,
  currentRun,
  hasEnded,
  hashOf,
  isOver,
  isRestarted,
  isRunning,
  isTerminating,
  membersOf,
  specOf,
} from "#agents/kubelet/pod.ts";
import type { Failure, Member, PodPlan, PodState, RunRecord, Step } from "#agents/kubelet/types.ts";

/** Crash loop and image pull back-off of Kubernetes: 10 s, doubled, at most 5 minutes. */
export const crashBackoff = { minMs: 10_000, maxMs: 300_000, resetAfterMs: 600_000 } as const;
/** Other failed operations (network, volumes, configuration) are tried again sooner. */
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 60_000;
/** Sidecars get this long even where the main containers used up the grace period. */
const SIDECAR_GRACE_MS_MIN = 2_000;
const DEFAULT_GRACE_SECONDS = 30;
/** A changed image is acted on this long after the change. */
const SETTLE_MS = 1_000;

/** Steps so far, and the earliest moment at which a look is worth while. */
class Draft {
  readonly steps: Step[] = [];
  againMs: number | undefined;

  again(delayMs: number): void {
    const delay = Math.max(0, delayMs);
    if (this.againMs === undefined || delay < this.againMs) this.againMs = delay;
  }

  plan(): PodPlan {
    return this.againMs === undefined
      ? { steps: this.steps }
      : { steps: this.steps, againMs: this.againMs };
  }
}

/** Milliseconds until a failed operation may be tried again; 0 when it may. */
function retryInMs(failure: Failure | undefined, subject: string, now: number): number {
  if (failure === undefined || failure.subject !== subject) return 0;
  const doubled = RETRY_MS_MIN * 2 ** Math.min(failure.count - 1, 10);
  return Math.max(0, failure.atMs + Math.min(RETRY_MS_MAX, doubled) - now);
}

/** Milliseconds until a failed pull may be tried again. */
export function pullInMs(failure: Failure | undefined, image: string, now: number): number {
  if (failure === undefined || failure.subject !== image) return 0;
  const doubled = crashBackoff.minMs * 2 ** Math.min(failure.count - 1, 10);
  return Math.max(0, failure.atMs + Math.min(crashBackoff.maxMs, doubled) - now);
}

/**
 * Milliseconds until a container that ended may be started again, 0 when it may. The first restart
 * is immediate; ten minutes of running forget the past.
 */
export function restartInMs(state: PodState, name: string): number {
  const record = state.record.containers[name];
  const finished = record?.current?.finishedAtMs;
  if (record?.backoff === undefined || finished === undefined) return 0;
  if (finished - record.backoff.atMs > crashBackoff.resetAfterMs) return 0;
  return Math.max(0, finished + record.backoff.ms - state.now);
}

/** The back-off that the next restart leaves behind. */
export function nextBackoff(state: PodState, name: string): { ms: number; atMs: number } {
  const record = state.record.containers[name];
  const before = record?.backoff;
  const finished = record?.current?.finishedAtMs ?? state.now;
  if (before === undefined || finished - before.atMs > crashBackoff.resetAfterMs) {
    return { ms: crashBackoff.minMs, atMs: state.now };
  }
  return { ms: Math.min(crashBackoff.maxMs, before.ms * 2), atMs: state.now };
}

const attemptOf = (state: PodState, name: string): number => {
  const record = state.record.containers[name];
  return record?.current === undefined ? (record?.restarts ?? 0) : record.restarts + 1;
};

/** Not run yet in this sandbox. */
const isFresh = (state: PodState, run: RunRecord | undefined): boolean =>
  run === undefined || run.sandbox !== state.record.sandboxes;

/** The image for the next run. */
function imageReady(state: PodState, member: Member, draft: Draft): "yes" | "wait" | "failed" {
  const { name, image = "", imagePullPolicy } = member.spec;
  const attempt = attemptOf(state, name);
  const policy = imagePullPolicy ?? "IfNotPresent";
  if (policy === "Always") {
    if (state.pulledFor.get(name) === attempt) return "yes";
  } else if (state.image(image) !== undefined) return "yes";
  if (state.operations.has(`image:${name}`)) return "wait";
  const wait = pullInMs(state.failures.get(`image:${name}`), image, state.now);
  if (wait > 0) {
    draft.again(wait);
    // The status turns from ErrImagePull to ImagePullBackOff meanwhile.
    draft.again(Math.min(wait, 1_000));
    return "failed";
  }
  draft.steps.push({ do: "image", container: name, image, policy, attempt });
  return "wait";
}

/** Starts one container when nothing stands in its way. "wait": later ones wait for it too. */
function startMember(
  state: PodState,
  member: Member,
  draft: Draft,
  grounds: boolean,
): "started" | "wait" | "failed" {
  const { name } = member.spec;
  const run = currentRun(state, name);
  const afterFailure = hasEnded(run) && run.hash === hashOf(member.spec) && !isFresh(state, run);
  const wait = afterFailure ? restartInMs(state, name) : 0;
  if (wait > 0) {
    draft.again(wait);
    return "failed";
  }
  const retry = retryInMs(state.failures.get(`start:${name}`), hashOf(member.spec), state.now);
  if (retry > 0) {
    draft.again(retry);
    return "failed";
  }
  const image = imageReady(state, member, draft);
  if (image !== "yes") return image;
  if (!grounds) return "wait";
  const attempt = attemptOf(state, name);
  draft.steps.push({ do: "start", container: name, attempt, afterFailure });
  return "started";
}

/** A running container that must be replaced: its image changed or a probe gave up. */
function stopUnfit(state: PodState, member: Member, draft: Draft): void {
  const { name } = member.spec;
  const run = currentRun(state, name);
  if (!isRunning(run) || state.operations.has(`stop:${name}`) || member.role === "ephemeral")
    return;
  const unhealthy = state.probe(name).unhealthy;
  let message: string | undefined;
  if (run.hash !== hashOf(member.spec) && member.role !== "init") {
    // Fetched before the old one is stopped; edits in a row are one change.
    const fetched = imageReady(state, member, draft) === "yes";
    const settledMs = (state.changedAtMs ?? 0) + SETTLE_MS - state.now;
    if (settledMs > 0) draft.again(settledMs);
    if (!fetched || settledMs > 0) return;
    message = `Container ${name} definition changed, will be restarted`;
  } else if (unhealthy) message = unhealthy.message;
  if (message === undefined) return;
  const seconds =
    unhealthy?.graceSeconds ??
    specOf(state.pod).terminationGracePeriodSeconds ??
    DEFAULT_GRACE_SECONDS;
  draft.steps.push({
    do: "stop",
    container: name,
    graceMs: seconds * 1000,
    preStop: true,
    message,
  });
}

/** The node gave it other resources than the kernel holds it to. */
function planResize(state: PodState, member: Member, draft: Draft): void {
  const { name } = member.spec;
  const run = currentRun(state, name);
  if (!isRunning(run) || (member.role !== "main" && member.role !== "sidecar")) return;
  if (state.operations.has(`stop:${name}`) || state.operations.has(`resize:${name}`)) return;
  const wanted = allocatedOf(state.record, member.spec);
  const changed = changedResources(run.resources, wanted);
  if (run.resources === undefined || changed.length === 0) return;
  if (needsRestart(member.spec, changed)) {
    const seconds = specOf(state.pod).terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
    const message = `Container ${name} resize requires restart`;
    draft.steps.push({
      do: "stop",
      container: name,
      graceMs: seconds * 1000,
      preStop: true,
      message,
    });
    return;
  }
  const wait = retryInMs(state.failures.get(`resize:${name}`), "", state.now);
  if (wait > 0) draft.again(wait);
  else draft.steps.push({ do: "resize", container: name });
}

const starting = (state: PodState): boolean =>
  [...state.operations.keys()].some((key) => key.startsWith("start:"));

/** Init containers and sidecars in their order; true when the main containers may start. */
function planInit(state: PodState, members: Member[], draft: Draft, grounds: boolean): boolean {
  for (const member of members) {
    if (member.role !== "init" && member.role !== "sidecar") continue;
    const { name } = member.spec;
    const run = currentRun(state, name);
    if (member.role === "sidecar") {
      if (isRunning(run)) {
        if (!state.record.initialized && !state.probe(name).started) return false;
        continue;
      }
      const outcome = startMember(state, member, draft, grounds);
      if (!state.record.initialized || outcome === "started") return false;
      continue;
    }
    if (state.record.initialized) continue;
    if (isRunning(run)) return false;
    const fresh = run === undefined || isFresh(state, run);
    if (!fresh && run.exitCode === 0) continue;
    if (fresh || isRestarted(state.pod, member, run)) startMember(state, member, draft, grounds);
    return false;
  }
  return true;
}

/** In the order of the spec, as some rely on: one that is being pulled holds back the next. */
function planRole(
  role: "main" | "ephemeral",
  state: PodState,
  members: Member[],
  draft: Draft,
  grounds: boolean,
): void {
  for (const member of members) {
    if (member.role !== role) continue;
    const run = currentRun(state, member.spec.name);
    if (isRunning(run)) continue;
    if (run !== undefined && !isRestarted(state.pod, member, run)) continue;
    const outcome = startMember(state, member, draft, grounds);
    if (outcome === "started" || outcome === "wait") return;
  }
}

function planGrounds(state: PodState, draft: Draft): boolean {
  let ready = true;
  const { record, operations, failures, now } = state;
  if (record.sandbox === undefined || record.sandbox.pauseId === "") {
    ready = false;
    const wait = retryInMs(failures.get("attach"), "", now);
    if (wait > 0) draft.again(wait);
    else if (!operations.has("attach")) draft.steps.push({ do: "attach" });
  }
  if (!state.volumesReady) {
    ready = false;
    const wait = retryInMs(failures.get("volumes"), "", now);
    if (wait > 0) draft.again(wait);
    else if (!operations.has("volumes")) draft.steps.push({ do: "volumes" });
  }
  return ready;
}

function planRunning(state: PodState): PodPlan {
  const draft = new Draft();
  const deadline = specOf(state.pod).activeDeadlineSeconds;
  if (deadline !== undefined) {
    const left = state.record.startTimeMs + deadline * 1000 - state.now;
    if (left <= 0) return { steps: [{ do: "judge", verdict: deadlineExceeded }] };
    draft.again(left);
  }
  const members = membersOf(state.pod);
  for (const member of members) {
    stopUnfit(state, member, draft);
    planResize(state, member, draft);
  }
  const grounds = planGrounds(state, draft);
  if (starting(state)) return draft.plan();
  if (planInit(state, members, draft, grounds)) planRole("main", state, members, draft, grounds);
  const begun = draft.steps.some((step) => step.do === "start");
  if (!begun) planRole("ephemeral", state, members, draft, grounds);
  return draft.plan();
}

const deadlineExceeded = {
  reason: "DeadlineExceeded",
  message: "Pod was active on the node longer than the specified deadline",
};

/** Seconds that the pod's containers may take to end. */
export function graceSeconds(state: PodState): number {
  const { metadata, spec } = state.pod;
  const own = spec?.terminationGracePeriodSeconds ?? DEFAULT_GRACE_SECONDS;
  if (metadata.deletionTimestamp !== undefined) return metadata.deletionGracePeriodSeconds ?? own;
  return state.record.verdict?.graceSeconds ?? own;
}

function stopOne(state: PodState, name: string, graceMs: number, draft: Draft): void {
  const under = state.operations.get(`stop:${name}`);
  // A second deletion may shorten the grace of a stop that is under way, never lengthen it.
  if (under !== undefined && (under.graceMs ?? 0) <= graceMs) return;
  const message = `Stopping container ${name}`;
  draft.steps.push({ do: "stop", container: name, graceMs, preStop: true, message });
}

/** Main containers at once, then the sidecars from the last to the first (KEP-753). */
function planStops(state: PodState, draft: Draft): boolean {
  const totalMs = graceSeconds(state) * 1000;
  const members = membersOf(state.pod);
  const running = members.filter(({ spec }) => isRunning(currentRun(state, spec.name)));
  const others = running.filter(({ role }) => role !== "sidecar");
  for (const { spec } of others) stopOne(state, spec.name, totalMs, draft);
  if (others.length > 0 || starting(state)) return false;
  const sidecar = running.at(-1);
  if (sidecar === undefined) return true;
  const used = state.now - (state.terminatingSinceMs ?? state.now);
  const leftMs = Math.max(Math.min(SIDECAR_GRACE_MS_MIN, totalMs), totalMs - used);
  const under = state.operations.has(`stop:${sidecar.spec.name}`);
  // The rest of the grace shrinks by itself: only a shorter total counts as a new wish.
  const graceMs = under ? totalMs : leftMs;
  stopOne(state, sidecar.spec.name, graceMs, draft);
  return false;
}

/** Stop all, take everything away, tell the API. */
function planEnd(state: PodState): PodPlan {
  const draft = new Draft();
  if (!planStops(state, draft) || anyRunning(state)) return draft.plan();
  const key = state.record.cleaned ? "finish" : "cleanup";
  const waits = state.pod.metadata.deletionTimestamp === undefined || state.deletionTold;
  if (state.record.cleaned && state.exists && waits) return draft.plan();
  const busy = [...state.operations.keys()].some((name) => !name.startsWith("image:"));
  if (busy) return draft.plan();
  const wait = retryInMs(state.failures.get(key), "", state.now);
  if (wait > 0) draft.again(wait);
  else draft.steps.push({ do: key });
  return draft.plan();
}

export function planPod(state: PodState): PodPlan {
  if (isTerminating(state) || isOver(state)) return planEnd(state);
  return planRunning(state);
}
