/**
 * Runs pods to their end as often as a Job asks
 * (kubernetes.io/docs/concepts/workloads/controllers/job). Every end is counted once: a finalizer
 * keeps each pod until the status has it (KEP-2307).
 */
import type { Action, Plan } from "#client/controller.ts";
import { withCondition } from "#controllers/common/conditions.ts";
import { claim } from "#controllers/common/owner.ts";
import { deleteAction } from "#controllers/common/patch.ts";
import { isReady } from "#controllers/common/pods.ts";
import { timeText } from "#controllers/common/time.ts";
import { indexWaitMs, waitMs } from "#controllers/job/backoff.ts";
import {
  completionsOf,
  type Facts,
  factsOf,
  isIndexed,
  isTracked,
  surplusPods,
  TRACKING,
} from "#controllers/job/facts.ts";
import {
  completion,
  deadlineInMs,
  endOf,
  isFinished,
  isSuspended,
} from "#controllers/job/finish.ts";
import { indexOf } from "#controllers/job/indexes.ts";
import { createPods, untrack } from "#controllers/job/pods.ts";
import { replacesFailedOnly } from "#controllers/job/policy.ts";
import { track } from "#controllers/job/track.ts";
import { jobs } from "#resources/kinds/job.ts";
import { pods as podKind } from "#resources/kinds/pod.ts";
import type { Stored } from "#resources/meta.ts";
import type { Job, JobCondition, Pod } from "#resources/types.gen.ts";

export interface State {
  /** Undefined once it is gone: what is left then are pods to let go. */
  job: Stored<Job> | undefined;
  owned: ReadonlyArray<Stored<Pod>>;
  free: ReadonlyArray<Stored<Pod>>;
  /** Tracked pods of an earlier Job of this name. */
  stray: ReadonlyArray<Stored<Pod>>;
  seed: number;
}

/** Pods made or deleted in one run. */
const BURST = 500;

/** What becomes of the active pods: changes to make, and the counts after them. */
interface Change {
  actions: Action[];
  active: number;
  ready: number;
  terminating: number;
  againMs?: number;
}

const told = (about: Stored<Job>, type: "Normal" | "Warning", reason: string, message: string) =>
  ({ do: "event", about, type, reason, message }) as const;

function removal(facts: Facts, gone: ReadonlyArray<Stored<Pod>>, counted: boolean): Change {
  const { job } = facts;
  return {
    actions: [
      // A pod that is taken back did not fail: it is not counted.
      ...gone.flatMap((pod) => (counted ? [] : [untrack(pod)])),
      ...gone.map((pod) => deleteAction(podKind, pod)),
      ...gone.map((pod) =>
        told(job, "Normal", "SuccessfulDelete", `Deleted pod: ${pod.metadata.name}`),
      ),
    ],
    active: facts.active.length - gone.length,
    ready: facts.ready - gone.filter(isReady).length,
    terminating: facts.terminating + gone.length,
  };
}

function wantedActive({ job, active, succeeded }: Facts): number {
  const parallelism = job.spec?.parallelism ?? 1;
  if (isSuspended(job)) return 0;
  if (job.spec?.completions === undefined) return succeeded > 0 ? active.length : parallelism;
  return Math.max(0, Math.min(parallelism, job.spec.completions - succeeded));
}

/** The lowest indexes that are neither done, failed nor running. */
function pendingIndexes(facts: Facts, count: number): number[] {
  const { job, done, failedIndexes, active, pods } = facts;
  const completions = completionsOf(job);
  const busy = replacesFailedOnly(job)
    ? [...active, ...pods.filter((pod) => pod.metadata.deletionTimestamp !== undefined)]
    : active;
  const taken = new Set(busy.map((pod) => indexOf(pod, completions)));
  const out: number[] = [];
  for (let index = 0; index < completions && out.length < count; index++) {
    if (!done.has(index) && !failedIndexes?.has(index) && !taken.has(index)) out.push(index);
  }
  return out;
}

function creation(facts: Facts, missing: number, seed: number, now: number): Change {
  const { job, active, ready, terminating } = facts;
  const rest = { active: active.length, ready, terminating };
  const perIndex = job.spec?.backoffLimitPerIndex !== undefined;
  const wait = perIndex ? 0 : waitMs(facts, now);
  if (wait > 0) return { actions: [], ...rest, againMs: wait };
  const count = Math.min(missing, BURST);
  let indexes: Array<number | undefined> = new Array(count).fill(undefined);
  let againMs: number | undefined;
  if (isIndexed(job)) {
    const pending = pendingIndexes(facts, count);
    const waits = pending.map((index) => (perIndex ? indexWaitMs(facts, index, now) : 0));
    indexes = pending.filter((_, i) => waits[i] === 0);
    const later = waits.filter((ms) => ms > 0);
    if (later.length > 0) againMs = Math.min(...later);
  }
  const creates = createPods(facts, indexes, seed);
  const events = creates.map((action) => {
    const name = action.do === "create" ? action.object.metadata?.name : "";
    return told(job, "Normal", "SuccessfulCreate", `Created pod: ${name}`);
  });
  return {
    actions: [...creates, ...events],
    ...rest,
    active: active.length + creates.length,
    ...(againMs !== undefined && { againMs }),
  };
}

/** Makes or takes back pods, so that as many run as should. */
function manage(facts: Facts, seed: number, now: number): Change {
  const { active, ready, terminating, job } = facts;
  const wanted = wantedActive(facts);
  const gone = surplusPods(facts, Math.max(0, active.length - wanted), now);
  if (gone.length > 0) return removal(facts, gone.slice(0, BURST), false);
  const waiting = replacesFailedOnly(job) ? terminating : 0;
  const missing = wanted - active.length - waiting;
  if (missing > 0) return creation(facts, missing, seed, now);
  return { actions: [], active: active.length, ready, terminating };
}

interface Resumed {
  conditions: JobCondition[];
  startTime: string | undefined;
  events: Action[];
}

/** The Suspended condition; the deadline of a resumed Job counts anew. */
function suspension(job: Stored<Job>, now: number): Resumed {
  const known = job.status?.conditions ?? [];
  const was = known.find(({ type }) => type === "Suspended")?.status;
  const is = isSuspended(job) ? "True" : "False";
  const time = timeText(now);
  const startTime = job.status?.startTime ?? (isSuspended(job) ? undefined : time);
  if (was === is || (was === undefined && is === "False")) {
    return { conditions: known, startTime, events: [] };
  }
  const [reason, message] =
    is === "True" ? ["JobSuspended", "Job suspended"] : ["JobResumed", "Job resumed"];
  const made = { type: "Suspended", status: is, reason, message };
  const conditions = withCondition(known, {
    ...made,
    lastProbeTime: time,
    lastTransitionTime: time,
  });
  const event = told(job, "Normal", is === "True" ? "Suspended" : "Resumed", message);
  return { conditions, startTime: is === "False" ? time : startTime, events: [event] };
}

function planJob(facts: Facts, seed: number, now: number): Plan {
  const { job } = facts;
  const end = endOf(facts, now);
  const deleting = job.metadata.deletionTimestamp !== undefined;
  const idle: Change = {
    actions: [],
    active: facts.active.length,
    ready: facts.ready,
    terminating: facts.terminating,
  };
  let change = idle;
  if (end !== undefined) change = removal(facts, facts.active, true);
  else if (!deleting) change = manage(facts, seed, now);
  const finish = end ?? completion(facts, change.active, now);
  const resumed =
    finish === undefined && !deleting
      ? suspension(job, now)
      : {
          conditions: job.status?.conditions ?? [],
          startTime: job.status?.startTime ?? timeText(now),
          events: [],
        };
  const making = change.active > idle.active;
  const present = making ? idle : change;
  const { naming, counting } = track({ facts, present, change, finish, ...resumed, now });
  const times = [change.againMs, deadlineInMs(job, now)].filter((ms) => ms !== undefined && ms > 0);
  const againMs = times.length > 0 ? Math.min(...times.map(Number)) : undefined;
  return {
    // A pod that cannot be made must not keep those that ended.
    actions: [
      ...(making ? [...naming, ...change.actions] : [...change.actions, ...naming]),
      ...counting,
      ...resumed.events,
    ],
    ...(againMs !== undefined && { againMs }),
  };
}

export function plan(state: State, now: number): Plan {
  const { job, stray } = state;
  const freed = stray.filter(isTracked).map(untrack);
  const manager = job?.spec?.managedBy;
  if (job === undefined) return { actions: freed };
  if (manager !== undefined && manager !== "kubernetes.io/job-controller")
    return { actions: freed };
  if (isFinished(job)) {
    return { actions: [...freed, ...state.owned.filter(isTracked).map(untrack)] };
  }
  const { mine, actions } = claim({
    ownerKind: jobs,
    owner: job,
    selector: job.spec?.selector,
    kind: podKind,
    owned: state.owned,
    free: state.free,
    finalizer: TRACKING,
  });
  const rest = planJob(factsOf(job, mine), state.seed, now);
  return { ...rest, actions: [...freed, ...actions, ...rest.actions] };
}

/** A pod that could not be made is told; the Job tries again with back-off. */
export function failed(state: State, failure: { action: Action; message: string; code: number }) {
  const { job } = state;
  if (job === undefined || failure.action.do !== "create" || failure.code === 409) return [];
  if (failure.message.includes("because it is being terminated")) return [];
  return [told(job, "Warning", "FailedCreate", `Error creating: ${failure.message}`)];
}
