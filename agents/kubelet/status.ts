/**
 * What the API is told of a pod: a pure function of what the kubelet knows, in Kubernetes' words.
 */

import { allocatedOf, changedResources } from "#agents/kubelet/allocate.ts";
import { pullInMs, restartInMs } from "#agents/kubelet/plan.ts";
import {
  anyRunning,
  hasEnded,
  initFailed,
  isOver,
  isRestarted,
  isRunning,
  isTerminating,
  membersOf,
  podName,
  specOf,
} from "#agents/kubelet/pod.ts";
import type { Member, PodState, RunRecord } from "#agents/kubelet/types.ts";
import { qosClass } from "#resources/qos.ts";
import type {
  ContainerState,
  ContainerStatus,
  PodCondition,
  PodStatus,
} from "#resources/types.gen.ts";

/** RFC 3339 to the second, as metav1.Time. */
export const timeText = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

function terminated(run: RunRecord): ContainerState {
  return {
    terminated: {
      exitCode: run.exitCode ?? 0,
      ...(run.signal !== undefined && { signal: run.signal }),
      reason: run.reason ?? (run.exitCode === 0 ? "Completed" : "Error"),
      ...(run.message && { message: run.message }),
      startedAt: timeText(run.startedAtMs),
      finishedAt: timeText(run.finishedAtMs ?? run.startedAtMs),
      ...(run.id !== "" && { containerID: `containerd://${run.id}` }),
    },
  };
}

const waiting = (reason: string, message?: string): ContainerState => ({
  waiting: { reason, ...(message && { message }) },
});

/** Why a container that should run does not: image, start or restart back-off. */
function hindrance(state: PodState, member: Member): ContainerState | undefined {
  const { name, image = "" } = member.spec;
  const pull = state.failures.get(`image:${name}`);
  if (pull !== undefined && pull.subject === image && state.image(image) === undefined) {
    const backsOff = pull.reason === "ErrImagePull" && state.now - pull.atMs >= 1_000;
    if (backsOff && pullInMs(pull, image, state.now) > 0) {
      const message = `Back-off pulling image "${image}": ErrImagePull: ${pull.message}`;
      return waiting("ImagePullBackOff", message);
    }
    return waiting(pull.reason, pull.message);
  }
  const start = state.failures.get(`start:${name}`);
  if (start !== undefined) return waiting(start.reason, start.message);
  return undefined;
}

function crashLoop(state: PodState, name: string): ContainerState {
  const ms = state.record.containers[name]?.backoff?.ms ?? 0;
  const wait = ms % 60_000 === 0 ? `${ms / 60_000}m0s` : goDuration(ms);
  return waiting(
    "CrashLoopBackOff",
    `back-off ${wait} restarting failed container=${name} pod=${podName(state.pod)}`,
  );
}

/** Go's text of whole seconds: `10s`, `2m40s`. */
function goDuration(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const seconds = Math.round((ms % 60_000) / 1000);
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`;
}

export interface Backoff {
  container: string;
  waiting: "CrashLoopBackOff" | "ImagePullBackOff";
  /** Another one for another crash or try. */
  key: string;
}

/** Containers that wait before the next try, for events. */
export function backoffsOf(state: PodState): Backoff[] {
  const ended = Object.values(state.record.containers).some(({ current }) => hasEnded(current));
  if (!ended && state.failures.size === 0) return [];
  if (isTerminating(state) || isOver(state)) return [];
  return membersOf(state.pod).flatMap((member): Backoff[] => {
    const { name } = member.spec;
    const { waiting } = statesOf(state, member).state;
    if (waiting?.reason === "CrashLoopBackOff") {
      const attempt = state.record.containers[name]?.current?.attempt;
      return [{ container: name, waiting: "CrashLoopBackOff", key: `crash ${attempt}` }];
    }
    if (waiting?.reason !== "ImagePullBackOff") return [];
    const count = state.failures.get(`image:${name}`)?.count;
    return [{ container: name, waiting: "ImagePullBackOff", key: `pull ${count}` }];
  });
}

interface States {
  state: ContainerState;
  lastState: ContainerState;
}

function statesOf(state: PodState, member: Member): States {
  const { name } = member.spec;
  const record = state.record.containers[name];
  const run = record?.current;
  const last = record?.last === undefined ? {} : terminated(record.last);
  if (isRunning(run)) {
    return { state: { running: { startedAt: timeText(run.startedAtMs) } }, lastState: last };
  }
  const stays = isTerminating(state) || isOver(state);
  const ended = hasEnded(run);
  if (ended && (stays || !isRestarted(state.pod, member, run))) {
    return { state: terminated(run), lastState: last };
  }
  if (!ended) {
    const first = specOf(state.pod).initContainers?.length
      ? "PodInitializing"
      : "ContainerCreating";
    const hindered = stays ? undefined : hindrance(state, member);
    return { state: hindered ?? waiting(first), lastState: {} };
  }
  const hindered = hindrance(state, member);
  if (hindered !== undefined) return { state: hindered, lastState: terminated(run) };
  if (restartInMs(state, name) > 0) {
    return { state: crashLoop(state, name), lastState: terminated(run) };
  }
  return { state: terminated(run), lastState: last };
}

/** A regular init container counts as ready once it succeeded, any other by its probes. */
function containerReady(state: PodState, member: Member): boolean {
  const run = state.record.containers[member.spec.name]?.current;
  if (member.role === "init") return hasEnded(run) && run.exitCode === 0;
  return isRunning(run) && state.probe(member.spec.name).ready;
}

function containerStatus(state: PodState, member: Member): ContainerStatus {
  const { name, image = "" } = member.spec;
  const record = state.record.containers[name];
  const run = record?.current ?? record?.last;
  const { state: now, lastState } = statesOf(state, member);
  const resources = isRunning(record?.current) ? record.current.resources : undefined;
  const started = isRunning(record?.current) && state.probe(name).started;
  return {
    name,
    image: run?.image ?? image,
    imageID: run?.imageId ?? "",
    ...(run !== undefined && run.id !== "" && { containerID: `containerd://${run.id}` }),
    ready: containerReady(state, member),
    restartCount: record?.restarts ?? 0,
    started: member.role === "init" && hasEnded(record?.current) ? false : started,
    state: now,
    lastState,
    ...(resources !== undefined && Object.keys(resources).length > 0 && { resources }),
  };
}

/** https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-phase */
function phaseOf(state: PodState): string {
  const members = membersOf(state.pod);
  const over = isTerminating(state) || isOver(state);
  if (over && !anyRunning(state) && !isStarting(state)) {
    if (state.record.verdict !== undefined || initFailed(state)) return "Failed";
    const mains = members.filter(({ role }) => role === "main");
    const runs = mains.map(({ spec }) => state.record.containers[spec.name]?.current);
    if (runs.every((run) => hasEnded(run))) {
      return runs.every((run) => run.exitCode === 0) ? "Succeeded" : "Failed";
    }
    if (state.record.cleaned) return "Failed";
  }
  // As long as one container was never started the pod is pending, though others run.
  const begun = members
    .filter(({ role }) => role === "main")
    .every(({ spec }) => state.record.containers[spec.name]?.current !== undefined);
  return begun && state.record.initialized ? "Running" : "Pending";
}

const isStarting = (state: PodState): boolean =>
  [...state.operations.keys()].some((key) => key.startsWith("start:"));

interface Finding {
  ok: boolean;
  reason?: string;
  message?: string;
}

const yes: Finding = { ok: true };

function initializedFinding(state: PodState, phase: string): Finding {
  if (phase === "Succeeded") return { ok: true, reason: "PodCompleted" };
  if (state.record.initialized) return yes;
  const open = membersOf(state.pod).filter((member) => {
    if (member.role === "init") return !containerReady(state, member);
    return member.role === "sidecar" && !state.probe(member.spec.name).started;
  });
  if (open.length === 0) return yes;
  const names = open.map(({ spec }) => spec.name).join(" ");
  return {
    ok: false,
    reason: "ContainersNotInitialized",
    message: `containers with incomplete status: [${names}]`,
  };
}

function containersFinding(state: PodState, phase: string): Finding {
  if (phase === "Succeeded") return { ok: false, reason: "PodCompleted" };
  if (phase === "Failed") return { ok: false, reason: "PodFailed" };
  const unready = membersOf(state.pod).filter(
    (member) =>
      (member.role === "main" || member.role === "sidecar") && !containerReady(state, member),
  );
  if (unready.length === 0) return yes;
  const names = unready.map(({ spec }) => spec.name).join(" ");
  return {
    ok: false,
    reason: "ContainersNotReady",
    message: `containers with unready status: [${names}]`,
  };
}

function readyFinding(state: PodState, containers: Finding, before: PodCondition[]): Finding {
  if (!containers.ok) return containers;
  const problems = (specOf(state.pod).readinessGates ?? []).flatMap(({ conditionType }) => {
    const condition = before.find(({ type }) => type === conditionType);
    if (condition === undefined) {
      return `corresponding condition of pod readiness gate "${conditionType}" does not exist.`;
    }
    if (condition.status === "True") return [];
    const what = `the status of pod readiness gate "${conditionType}"`;
    return `${what} is not "True", but ${condition.status}`;
  });
  if (problems.length === 0) return yes;
  return { ok: false, reason: "ReadinessGatesNotReady", message: problems.join(", ") };
}

function condition(
  state: PodState,
  type: string,
  finding: Finding,
  before: PodCondition[],
): PodCondition {
  const status = finding.ok ? "True" : "False";
  const old = before.find((other) => other.type === type);
  const since =
    old?.status === status && old.lastTransitionTime ? old.lastTransitionTime : timeText(state.now);
  const { generation } = state.pod.metadata;
  return {
    type,
    status,
    lastTransitionTime: since,
    ...(generation !== undefined && { observedGeneration: generation }),
    ...(finding.reason && { reason: finding.reason }),
    ...(finding.message && { message: finding.message }),
  };
}

/** They are there only while there is something to tell. */
const RESIZE_CONDITIONS = ["PodResizePending", "PodResizeInProgress"] as const;

function resizeConditions(state: PodState, before: PodCondition[]): PodCondition[] {
  const out: PodCondition[] = [];
  const { resizePending } = state.record;
  if (resizePending !== undefined) {
    out.push(condition(state, "PodResizePending", { ok: true, ...resizePending }, before));
  }
  const open = membersOf(state.pod).filter(({ spec }) => {
    const run = state.record.containers[spec.name]?.current;
    if (!isRunning(run) || run.resources === undefined) return false;
    return changedResources(run.resources, allocatedOf(state.record, spec)).length > 0;
  });
  if (open.length > 0) {
    const failure = open.flatMap(({ spec }) => state.failures.get(`resize:${spec.name}`) ?? [])[0];
    const finding =
      failure === undefined ? yes : { ok: true, reason: "Error", message: failure.message };
    out.push(condition(state, "PodResizeInProgress", finding, before));
  }
  return out;
}

function conditionsOf(state: PodState, phase: string, before: PodCondition[]): PodCondition[] {
  const containers = containersFinding(state, phase);
  const { verdict, sandbox, cleaned } = state.record;
  const own = [
    condition(
      state,
      "PodReadyToStartContainers",
      { ok: sandbox !== undefined && !cleaned },
      before,
    ),
    condition(state, "Initialized", initializedFinding(state, phase), before),
    condition(state, "Ready", readyFinding(state, containers, before), before),
    condition(state, "ContainersReady", containers, before),
    condition(state, "PodScheduled", yes, before),
  ];
  if (verdict?.disruption) {
    const finding = { ok: true, reason: "TerminationByKubelet", message: verdict.message };
    own.push(condition(state, "DisruptionTarget", finding, before));
  }
  own.push(...resizeConditions(state, before));
  const types = new Set([...own.map(({ type }) => type), ...RESIZE_CONDITIONS]);
  return [...own, ...before.filter(({ type }) => !types.has(type))];
}

/** The whole status; `before` is what the API has, whose foreign conditions stay. */
export function podStatus(state: PodState, before: PodStatus | undefined): PodStatus {
  const phase = phaseOf(state);
  const { pod, record, node } = state;
  const { generation } = pod.metadata;
  const members = membersOf(pod);
  const statuses = (...roles: string[]) =>
    members
      .filter(({ role }) => roles.includes(role))
      .map((member) => containerStatus(state, member));
  const init = statuses("init", "sidecar");
  const ephemeral = statuses("ephemeral");
  const ips = record.sandbox?.ips ?? before?.podIPs?.map(({ ip }) => ip) ?? [];
  const judged = record.verdict !== undefined && phase === "Failed" ? record.verdict : undefined;
  return {
    phase,
    ...(generation !== undefined && { observedGeneration: generation }),
    ...(judged && { reason: judged.reason, message: judged.message }),
    conditions: conditionsOf(state, phase, before?.conditions ?? []),
    hostIP: node.ips[0] ?? "",
    hostIPs: node.ips.map((ip) => ({ ip })),
    ...(ips[0] !== undefined && { podIP: ips[0], podIPs: ips.map((ip) => ({ ip })) }),
    startTime: timeText(record.startTimeMs),
    qosClass: before?.qosClass ?? qosClass(specOf(pod)),
    ...(init.length > 0 && { initContainerStatuses: init }),
    containerStatuses: statuses("main"),
    ...(ephemeral.length > 0 && { ephemeralContainerStatuses: ephemeral }),
  };
}
