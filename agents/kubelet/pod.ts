/** Pure views of a pod's spec that plan, status and starter share. */
import type { Member, PodState, RunRecord } from "#agents/kubelet/types.ts";
import type { Stored } from "#resources/meta.ts";
import type { Container, Pod, PodSpec } from "#resources/types.gen.ts";

const emptySpec: PodSpec = { containers: [] };

export const specOf = (pod: Pod): PodSpec => pod.spec ?? emptySpec;

/** All containers: init and sidecars in order, then the main ones, then ephemeral ones. */
export function membersOf(pod: Pod): Member[] {
  const spec = specOf(pod);
  const members: Member[] = [];
  for (const container of spec.initContainers ?? []) {
    const role = container.restartPolicy === "Always" ? "sidecar" : "init";
    members.push({ role, spec: container });
  }
  for (const container of spec.containers) members.push({ role: "main", spec: container });
  for (const { targetContainerName, ...container } of spec.ephemeralContainers ?? []) {
    const member: Member = { role: "ephemeral", spec: container };
    if (targetContainerName) member.target = targetContainerName;
    members.push(member);
  }
  return members;
}

/**
 * Returns the network of the pod's containers. It is the node's only with `hostNetwork`, and
 * never for lack of another. Throws an Error where it has none.
 */
export function networkOf(pod: Pod, netnsPath: string | undefined) {
  if (specOf(pod).hostNetwork === true) return "host" as const;
  if (!netnsPath) throw new Error(`pod ${pod.metadata?.name} has no network namespace`);
  return { namespacePath: netnsPath };
}

/** A change of it replaces a running container, as upstream: name and image. */
export const hashOf = (container: Container): string =>
  `${container.name}=${container.image ?? ""}`;

export const podName = (pod: Stored<Pod>): string =>
  `${pod.metadata.name}_${pod.metadata.namespace ?? ""}(${pod.metadata.uid})`;

export const isRunning = (
  run: RunRecord | undefined,
): run is RunRecord & { finishedAtMs?: never } =>
  run !== undefined && run.finishedAtMs === undefined;

export const hasEnded = (run: RunRecord | undefined): run is RunRecord & { finishedAtMs: number } =>
  run?.finishedAtMs !== undefined;

export const currentRun = (state: PodState, name: string): RunRecord | undefined =>
  state.record.containers[name]?.current;

/** The pod is on its way out, for whichever reason. */
export const isTerminating = (state: PodState): boolean =>
  !state.exists ||
  state.pod.metadata.deletionTimestamp !== undefined ||
  state.record.verdict !== undefined;

/** Rules of one container for exit codes (KEP-5307), before its policy. */
function ruleRestarts(container: Container, exitCode: number): boolean {
  return (container.restartPolicyRules ?? []).some(({ action, exitCodes }) => {
    if (action !== "Restart" || exitCodes === undefined) return false;
    const listed = (exitCodes.values ?? []).includes(exitCode);
    return exitCodes.operator === "NotIn" ? !listed : listed;
  });
}

/**
 * Whether a container that ended so is started again.
 * https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
 */
export function isRestarted(pod: Pod, member: Member, run: RunRecord): boolean {
  if (member.role === "ephemeral") return false;
  if (member.role === "sidecar") return true;
  const exitCode = run.exitCode ?? 0;
  if (ruleRestarts(member.spec, exitCode)) return true;
  const policy = member.spec.restartPolicy ?? specOf(pod).restartPolicy ?? "Always";
  if (policy === "Never") return false;
  if (policy === "OnFailure" || member.role === "init") return exitCode !== 0;
  return true;
}

/** An init container failed for good: with it the pod. */
export function initFailed(state: PodState): boolean {
  if (state.record.initialized) return false;
  return membersOf(state.pod).some((member) => {
    if (member.role !== "init") return false;
    const run = currentRun(state, member.spec.name);
    return hasEnded(run) && run.exitCode !== 0 && !isRestarted(state.pod, member, run);
  });
}

/**
 * Nothing of the pod will be started any more: an init container failed for good, or all main ones
 * are over.
 */
export function isOver(state: PodState): boolean {
  if (initFailed(state)) return true;
  return membersOf(state.pod)
    .filter(({ role }) => role === "main")
    .every((member) => {
      const run = currentRun(state, member.spec.name);
      return hasEnded(run) && !isRestarted(state.pod, member, run);
    });
}

export const anyRunning = (state: PodState): boolean =>
  Object.values(state.record.containers).some(({ current }) => isRunning(current));
