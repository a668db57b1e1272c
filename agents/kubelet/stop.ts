/** Stops one container: preStop hook, its signal, the grace, SIGKILL. */

import type { PodWork } from "#agents/kubelet/context.ts";
import { isRunning } from "#agents/kubelet/pod.ts";
import type { Operation, RunRecord, Step } from "#agents/kubelet/types.ts";
import { sleep } from "#base/clock.ts";
import { messageOf } from "#base/errors.ts";
import { limits } from "#base/limits.ts";

type Stop = Extract<Step, { do: "stop" }>;

/**
 * After a preStop hook that used up the grace, the program still gets this long (upstream: 2 s).
 */
const AFTER_HOOK_MS_MIN = 2_000;
/** Even a grace of nothing lets the program see its signal (upstream: 1 s). */
const GRACE_MS_MIN = 1_000;

async function preStop(worker: PodWork, step: Stop, run: RunRecord): Promise<void> {
  const member = worker.member(step.container);
  const hook = member.spec.lifecycle?.preStop;
  if (hook === undefined || !step.preStop || step.graceMs === 0) return;
  const { clock } = worker.context;
  const late = new AbortController();
  const cancel = clock.after(step.graceMs, () => late.abort());
  try {
    await Promise.race([
      worker.context.hooks.run(worker, member, run.id, hook, late.signal),
      worker.whenEnded(run),
    ]);
  } catch (error) {
    const text = `PreStopHook failed: ${messageOf(error)}`;
    worker.event("Warning", "FailedPreStopHook", text, step.container);
  } finally {
    cancel();
  }
}

/**
 * A pod that is deleted is told to end only when nobody is sent to it any more. The rest of its
 * grace is its own: half of a short one, of a longer one what a preStop hook leaves it, too.
 */
async function drained(worker: PodWork, step: Stop, run: RunRecord): Promise<void> {
  const going = worker.pod.metadata.deletionTimestamp !== undefined;
  const { clock, drained } = worker.context;
  if (!going || step.graceMs <= GRACE_MS_MIN || drained === undefined) return;
  const over = new AbortController();
  const lateMs = Math.max(step.graceMs / 2, step.graceMs - AFTER_HOOK_MS_MIN);
  const late = sleep(clock, lateMs, over.signal);
  await Promise.race([drained(worker.uid), late, worker.whenEnded(run)]);
  over.abort();
}

/** Waits for the end; the grace may be shortened meanwhile. True when it ended. */
async function waitEnd(
  worker: PodWork,
  run: RunRecord,
  fromMs: number,
  graceMs: () => number,
): Promise<boolean> {
  const { clock } = worker.context;
  const ended = worker.whenEnded(run).then(() => true);
  for (;;) {
    const leftMs = fromMs + graceMs() - clock.monotonic();
    if (!isRunning(run)) return true;
    if (leftMs <= 0) return false;
    const stop = new AbortController();
    const slice = sleep(clock, Math.min(leftMs, limits.stopLookMs), stop.signal);
    const over = await Promise.race([ended, slice.then(() => false)]);
    stop.abort();
    if (over) return true;
  }
}

/** Answers why it was not sent; "" when it was. */
async function signal(worker: PodWork, run: RunRecord, name: string): Promise<string> {
  try {
    await worker.context.runtime.signal(run.id, name);
    return "";
  } catch (error) {
    // It may have ended just now; the look at all containers tells.
    const message = messageOf(error);
    worker.context.log.debug("signal failed", { container: run.id, error: message });
    worker.context.resync();
    return message;
  }
}

export async function stopContainer(
  worker: PodWork,
  step: Stop,
  operation: Operation,
): Promise<void> {
  const run = worker.record.containers[step.container]?.current;
  if (!isRunning(run)) return;
  const { clock, images } = worker.context;
  worker.event("Normal", "Killing", step.message, step.container);
  const beganMs = clock.monotonic();
  await Promise.all([preStop(worker, step, run), drained(worker, step, run)]);
  const hookMs = clock.monotonic() - beganMs;
  const graceMs = () => {
    const total = operation.graceMs ?? step.graceMs;
    const least = hookMs > 0 ? Math.min(total, AFTER_HOOK_MS_MIN) : GRACE_MS_MIN;
    return Math.max(least, total - hookMs);
  };
  const { spec } = worker.member(step.container);
  const chosen = spec.lifecycle?.stopSignal || images.get(spec.image ?? "")?.stopSignal;
  const fromMs = clock.monotonic();
  if (isRunning(run)) await signal(worker, run, chosen || "SIGTERM");
  if (await waitEnd(worker, run, fromMs, graceMs)) return;
  for (;;) {
    const killedMs = clock.monotonic();
    const problem = await signal(worker, run, "SIGKILL");
    if (await waitEnd(worker, run, killedMs, () => limits.killRetryMs)) return;
    worker.context.resync();
    const why = problem === "" ? "does not end after SIGKILL" : `takes no signal: ${problem}`;
    const text = `error killing pod: container ${step.container} ${why}`;
    worker.event("Warning", "FailedKillPod", text, step.container);
  }
}
