/**
 * How many replicas a metric asks for (kubernetes.io/docs/tasks/run-application/horizontal-pod-
 * autoscale, "Algorithm details"). Amounts are in thousandths of their unit.
 */
import { podCondition } from "#controllers/common/pods.ts";
import { timeMs } from "#controllers/common/time.ts";
import type { Stored } from "#resources/meta.ts";
import type { Pod } from "#resources/types.gen.ts";

export interface Sample {
  value: number;
  atMs: number;
  windowMs: number;
}

export interface Tolerance {
  up: number;
  down: number;
}

/** After its start a pod's use of CPU says little for so long. */
const START_MS = 300_000;
/** A pod that was never ready this long after its start does not count. */
const FIRST_READY_MS = 30_000;

interface Groups {
  ready: number;
  unready: Set<string>;
  missing: Set<string>;
  measured: Map<string, number>;
}

function isWarming(pod: Stored<Pod>, sample: Sample, now: number): boolean {
  const ready = podCondition(pod, "Ready");
  const start = timeMs(pod.status?.startTime);
  if (ready === undefined || start === undefined) return true;
  const since = timeMs(ready.lastTransitionTime) ?? 0;
  const isNot = ready.status === "False";
  if (start + START_MS > now) return isNot || sample.atMs < since + sample.windowMs;
  return isNot && start + FIRST_READY_MS > since;
}

function group(
  pods: ReadonlyArray<Stored<Pod>>,
  samples: ReadonlyMap<string, Sample>,
  options: { cpu: boolean; now: number },
): Groups {
  const out: Groups = { ready: 0, unready: new Set(), missing: new Set(), measured: new Map() };
  for (const pod of pods) {
    const { name, deletionTimestamp } = pod.metadata;
    if (deletionTimestamp !== undefined || pod.status?.phase === "Failed") continue;
    const sample = samples.get(name);
    if (pod.status?.phase === "Pending") out.unready.add(name);
    else if (sample === undefined) out.missing.add(name);
    else if (options.cpu && isWarming(pod, sample, options.now)) out.unready.add(name);
    else {
      out.ready++;
      out.measured.set(name, sample.value);
    }
  }
  return out;
}

export const isWithin = (ratio: number, { up, down }: Tolerance): boolean =>
  1 - down <= ratio && ratio <= 1 + up;

export interface Demand {
  replicas: number;
  /** Use over the target, of the pods that were measured. */
  ratio: number;
  /** Mean use of a measured pod. */
  average: number;
}

export interface DemandOptions {
  pods: ReadonlyArray<Stored<Pod>>;
  samples: ReadonlyMap<string, Sample>;
  current: number;
  /** What a pod should use. */
  target: (podName: string) => number;
  /** What a pod without a sample counts when scaling down: never less than it might use. */
  assumed: (podName: string) => number;
  tolerance: Tolerance;
  cpu: boolean;
  now: number;
}

function ratioOf(values: ReadonlyMap<string, number>, target: (name: string) => number): number {
  let used = 0;
  let wanted = 0;
  for (const [name, value] of values) {
    used += value;
    wanted += target(name);
  }
  return wanted === 0 ? 1 : used / wanted;
}

/** Throws where nothing can be told. */
export function demand(options: DemandOptions): Demand {
  const { pods, current, target, tolerance } = options;
  if (pods.length === 0) {
    throw new Error("no pods returned by selector while calculating replica count");
  }
  const { ready, unready, missing, measured } = group(pods, options.samples, options);
  if (measured.size === 0) {
    throw new Error("did not receive metrics for targeted pods (pods might be unready)");
  }
  const ratio = ratioOf(measured, target);
  const average = [...measured.values()].reduce((a, b) => a + b, 0) / measured.size;
  const answer = (replicas: number): Demand => ({ replicas, ratio, average });
  const counted = new Map(measured);
  const growing = unready.size > 0 && ratio > 1;
  if (!growing && missing.size === 0) {
    return answer(isWithin(ratio, tolerance) ? current : Math.ceil(ratio * ready));
  }
  // What is not known is taken against the direction: nothing when growing, all when shrinking.
  for (const name of missing) {
    if (ratio < 1) counted.set(name, options.assumed(name));
    else if (ratio > 1) counted.set(name, 0);
  }
  if (growing) for (const name of unready) counted.set(name, 0);
  const careful = ratioOf(counted, target);
  const turned = (ratio < 1 && careful > 1) || (ratio > 1 && careful < 1);
  if (isWithin(careful, tolerance) || turned) return answer(current);
  const replicas = Math.ceil(careful * counted.size);
  const against = (careful < 1 && replicas > current) || (careful > 1 && replicas < current);
  return answer(against ? current : replicas);
}
