/**
 * What an earlier agent left: running containers are taken over as they are, what belongs to nobody
 * is removed, and after a restart of the machine everything stale goes, for none of it runs any
 * more.
 */
import type { Context, PodWork } from "#agents/kubelet/context.ts";
import { PAUSE_NAME } from "#agents/kubelet/pause.ts";
import { hashOf, isRunning, membersOf } from "#agents/kubelet/pod.ts";
import { logFile } from "#agents/kubelet/start.ts";
import type { PodRecord, RunRecord } from "#agents/kubelet/types.ts";
import { type Container, labelKeys } from "#agents/runtime/runtime.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

/** What containerd's CRI answers for containers that a reboot ended. */
const REBOOT_EXIT_CODE = 255;

/** Without a process: nothing of it can be in a new one's way, and its removal can wait. */
const isDead = ({ state }: Container): boolean => state === "created" || state === "exited";

async function removeAlive(context: Context, containers: readonly Container[]): Promise<void> {
  const alive = containers.filter((container) => !isDead(container));
  if (alive.length > 0) await context.runtime.remove(alive.map(({ id }) => id));
}

/**
 * After a reboot: no container runs, no namespace, mount or lease is left. The dead containers stay
 * for `takeOver`: pods need not wait for their removal.
 */
async function clearAll(
  context: Context,
  records: ReadonlyMap<string, PodRecord>,
  containers: readonly Container[],
): Promise<void> {
  const { log, network, volumes } = context;
  log.info("the machine was restarted: clearing what it left", { containers: containers.length });
  await removeAlive(context, containers);
  await Promise.all([network.reset(), volumes.reset()]);
  // At once: each waits for the disk, which writes many as fast as one.
  await Promise.all([...records.values()].map((record) => endRecord(context, record)));
}

function endRecord({ clock, options, records }: Context, record: PodRecord): Promise<void> {
  for (const { current } of Object.values(record.containers)) {
    if (!isRunning(current)) continue;
    const exitCode = REBOOT_EXIT_CODE;
    Object.assign(current, { finishedAtMs: clock.now(), exitCode, reason: "Unknown" });
  }
  loseSandbox(record);
  record.bootId = options.bootId;
  return records.save(record);
}

/** The pod starts anew: with another network namespace, and its init containers run again. */
function loseSandbox(record: PodRecord): void {
  if (record.sandbox === undefined) return;
  delete record.sandbox;
  // Runs of the old sandbox no longer count as done.
  record.sandboxes++;
  record.initialized = false;
}

/** A container that was started, but whose record did not reach the disk. */
function recordFromLabels(
  context: Context,
  record: PodRecord,
  pod: Stored<Pod>,
  container: Container,
): void {
  const name = container.labels[labelKeys.container] ?? "";
  const member = membersOf(pod).find(({ spec }) => spec.name === name);
  if (member === undefined) return;
  const attempt = Number(container.labels[labelKeys.attempt] ?? 0);
  const before = record.containers[name];
  if (before?.current !== undefined && before.current.attempt >= attempt) return;
  const run: RunRecord = {
    id: container.id,
    attempt,
    sandbox: record.sandboxes,
    image: container.image,
    imageId: context.images.get(member.spec.image ?? "")?.digests[0] ?? "",
    hash: container.labels[labelKeys.hash] ?? hashOf(member.spec),
    startedAtMs: container.startedAtMs ?? container.createdAtMs,
  };
  const last = before?.current;
  record.containers[name] = {
    ...before,
    restarts: attempt,
    current: run,
    ...(last !== undefined && {
      last: last.finishedAtMs === undefined ? { ...last, finishedAtMs: run.startedAtMs } : last,
    }),
  };
  if (member.role === "main") record.initialized = true;
}

export interface Adopted {
  /** Hands the running containers to their workers. */
  handOver(workers: ReadonlyMap<string, PodWork>): void;
}

/**
 * Namespaces, running containers, mounts and folders of pods that the API no longer has, or that
 * were half made. Several at once: pods wait for it.
 */
async function removeOrphans(
  context: Context,
  records: Map<string, PodRecord>,
  pods: ReadonlyMap<string, Stored<Pod>>,
  containers: readonly Container[],
): Promise<void> {
  const { network, volumes, log, cleanups } = context;
  const orphans = containers.filter((container) => {
    const uid = container.labels[labelKeys.uid] ?? "";
    return !pods.has(uid) || records.get(uid) === undefined;
  });
  if (orphans.length > 0) {
    log.info("containers of pods that are gone", { containers: orphans.length });
    await removeAlive(context, orphans);
  }
  const lost = (await network.list()).filter(({ podUid, sandboxId }) => {
    const sandbox = pods.has(podUid) ? records.get(podUid)?.sandbox : undefined;
    return sandbox === undefined || sandboxId !== `${podUid}-${sandbox.id}`;
  });
  await Promise.all(lost.map((sandbox) => cleanups.run(0, () => network.detach(sandbox))));
  const gone = (await context.records.uids()).filter((uid) => !pods.has(uid));
  const forget = async (uid: string) => {
    await volumes.teardown(uid);
    await context.records.remove(uid);
    records.delete(uid);
  };
  await Promise.all(gone.map((uid) => cleanups.run(0, () => forget(uid))));
}

function takeOver(
  context: Context,
  workers: ReadonlyMap<string, PodWork>,
  containers: readonly Container[],
): void {
  const found = new Map(containers.map((container) => [container.id, container]));
  const kept = new Set<string>();
  for (const worker of workers.values()) {
    const pauseId = worker.record.sandbox?.pauseId;
    if (pauseId) {
      kept.add(pauseId);
      context.own(pauseId, worker, PAUSE_NAME);
    }
    for (const [name, { current }] of Object.entries(worker.record.containers)) {
      if (!isRunning(current)) continue;
      kept.add(current.id);
      context.own(current.id, worker, name);
      context.logs.of(logFile(worker, name, current.attempt), current.startedAtMs, true);
      if (found.get(current.id)?.state === "running") resumeProbes(context, worker, name, current);
    }
  }
  const stale = containers.filter(({ id }) => !kept.has(id)).map(({ id }) => id);
  if (stale.length > 0) context.discard(stale);
  context.resync();
}

/** Readiness goes on from what the API last heard, so that an upgrade of the agent is no outage. */
function resumeProbes(context: Context, worker: PodWork, name: string, run: RunRecord): void {
  const { status } = worker.pod;
  const all = [...(status?.initContainerStatuses ?? []), ...(status?.containerStatuses ?? [])];
  const before = all.find((one) => one.name === name);
  const same = before?.containerID === `containerd://${run.id}`;
  const member = membersOf(worker.pod).find(({ spec }) => spec.name === name);
  if (member === undefined) return;
  const age = context.clock.now() - run.startedAtMs;
  context.probes.add(worker, member, run.id, {
    started: same && before.started === true,
    ready: same && before.ready,
    startedMs: context.clock.monotonic() - age,
    adopted: true,
  });
}

export async function adopt(
  context: Context,
  records: Map<string, PodRecord>,
  podList: ReadonlyArray<Stored<Pod>>,
): Promise<Adopted> {
  const { runtime, options } = context;
  const pods = new Map(podList.map((pod) => [pod.metadata.uid, pod]));
  const containers = await runtime.list();
  for (const container of containers) {
    const uid = container.labels[labelKeys.uid] ?? "";
    const pod = pods.get(uid);
    const record = records.get(uid);
    if (pod !== undefined && record !== undefined) {
      recordFromLabels(context, record, pod, container);
    }
  }
  const bootId = await context.records.readBootId();
  if (bootId !== options.bootId) await clearAll(context, records, containers);
  await removeOrphans(context, records, pods, containers);
  await context.records.writeBootId(options.bootId);
  return {
    handOver(workers) {
      takeOver(context, workers, containers);
    },
  };
}
