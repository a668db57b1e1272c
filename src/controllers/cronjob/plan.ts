/** Makes Jobs by the clock (kubernetes.io/docs/concepts/workloads/controllers/cron-jobs). */
import type { Action, Plan } from "#client/controller.ts";
import { controllerReference } from "#controllers/common/owner.ts";
import { deleteAction, statusAction } from "#controllers/common/patch.ts";
import { timeMs, timeText, zonedText } from "#controllers/common/time.ts";
import type { Due } from "#controllers/cronjob/schedule.ts";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { jobs as jobKind } from "#resources/kinds/job.ts";
import type { Stored } from "#resources/meta.ts";
import type { CronJob, CronJobStatus, Job, ObjectReference } from "#resources/types.gen.ts";

export interface State {
  cron: Stored<CronJob>;
  /** Jobs that it controls. */
  jobs: ReadonlyArray<Stored<Job>>;
  due: Due;
  missedMax: number;
}

/** Timers may fire a moment early; a run then would find nothing due. */
const SLACK_MS = 100;
/** A clock that is set forward wakes nobody: the schedule is looked at this often. */
export const LOOK_MS_MAX = 60_000;

export const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";

function endOf(job: Job): string | undefined {
  return job.status?.conditions?.find(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  )?.type;
}

const reference = (job: Stored<Job>): ObjectReference => ({
  kind: "Job",
  namespace: job.metadata.namespace ?? "",
  name: job.metadata.name,
  uid: job.metadata.uid,
  apiVersion: "batch/v1",
  resourceVersion: job.metadata.resourceVersion,
});

function note(cron: Stored<CronJob>, type: "Normal" | "Warning", reason: string, message: string) {
  return { do: "event", about: cron, type, reason, message } as const;
}

/** Which Jobs run, by what is there; and what ended or vanished since the last look. */
function activeOf({ cron, jobs }: State): { status: CronJobStatus; events: Action[] } {
  const before = cron.status?.active ?? [];
  const events: Action[] = [];
  let lastSuccess = cron.status?.lastSuccessfulTime;
  const active: ObjectReference[] = [];
  for (const job of jobs) {
    const known = before.find(({ uid }) => uid === job.metadata.uid);
    const end = endOf(job);
    if (end === undefined) {
      active.push(known ?? reference(job));
      continue;
    }
    const completed = timeMs(job.status?.completionTime);
    if (end === "Complete" && (completed ?? 0) > (timeMs(lastSuccess) ?? 0)) {
      lastSuccess = job.status?.completionTime;
    }
    if (known === undefined) continue;
    const message = `Saw completed job: ${job.metadata.name}, condition: ${end}`;
    events.push(note(cron, "Normal", "SawCompletedJob", message));
  }
  for (const { uid, name } of before) {
    if (jobs.some((job) => job.metadata.uid === uid)) continue;
    const message = `Active job went missing: ${name}`;
    events.push(note(cron, "Normal", "MissingJob", message));
  }
  active.sort((a, b) => ((a.name ?? "") < (b.name ?? "") ? -1 : 1));
  return {
    status: {
      ...(active.length > 0 && { active }),
      ...(cron.status?.lastScheduleTime && { lastScheduleTime: cron.status.lastScheduleTime }),
      ...(lastSuccess !== undefined && { lastSuccessfulTime: lastSuccess }),
    },
    events,
  };
}

/** Ended Jobs beyond the history limits, the oldest first. */
function history({ cron, jobs }: State): Action[] {
  const { successfulJobsHistoryLimit, failedJobsHistoryLimit } = cron.spec ?? {};
  const surplus = (end: string, limit: number | undefined): Action[] => {
    if (limit === undefined) return [];
    const ended = jobs
      .filter((job) => endOf(job) === end && job.metadata.deletionTimestamp === undefined)
      .sort((a, b) => startOf(a) - startOf(b));
    return ended
      .slice(0, Math.max(0, ended.length - limit))
      .map((job) => deleteAction(jobKind, job, { propagationPolicy: "Background" }));
  };
  return [
    ...surplus("Complete", successfulJobsHistoryLimit),
    ...surplus("Failed", failedJobsHistoryLimit),
  ];
}

const startOf = (job: Stored<Job>): number =>
  timeMs(job.status?.startTime) ?? timeMs(job.metadata.creationTimestamp) ?? 0;

function newJob(cron: Stored<CronJob>, dueMs: number): Job {
  const { metadata, spec } = cron.spec?.jobTemplate ?? {};
  return {
    metadata: {
      // By the minute: two runs for one time are one Job.
      name: `${cron.metadata.name}-${Math.floor(dueMs / 60_000)}`,
      namespace: cron.metadata.namespace ?? "",
      ...(metadata?.labels && { labels: metadata.labels }),
      annotations: {
        ...metadata?.annotations,
        [SCHEDULED_AT]: zonedText(dueMs, cron.spec?.timeZone ?? "UTC"),
      },
      ownerReferences: [controllerReference(cronJobs, cron)],
    },
    ...(spec && { spec }),
  };
}

interface Start {
  actions: Action[];
  lastScheduleTime?: string;
}

function start(state: State, active: ReadonlyArray<Stored<Job>>, now: number): Start {
  const { cron, due } = state;
  const { dueMs, missed } = due;
  if (dueMs === undefined) return { actions: [] };
  const actions: Action[] = [];
  if (missed > state.missedMax) {
    const message =
      `too many missed start times: ${missed}. Set or decrease .spec.startingDeadlineSeconds ` +
      "or check clock skew";
    actions.push(note(cron, "Warning", "TooManyMissedTimes", message));
  }
  const deadline = cron.spec?.startingDeadlineSeconds;
  if (deadline !== undefined && dueMs + deadline * 1000 < now) {
    const message = `Missed scheduled time to start a job: ${timeText(dueMs)}`;
    return { actions: [...actions, note(cron, "Warning", "MissSchedule", message)] };
  }
  const policy = cron.spec?.concurrencyPolicy;
  if (policy === "Forbid" && active.length > 0) {
    const message =
      "Not starting job because prior execution is running and concurrency policy is Forbid";
    return { actions: [...actions, note(cron, "Normal", "JobAlreadyActive", message)] };
  }
  if (policy === "Replace") {
    for (const job of active) {
      actions.push(deleteAction(jobKind, job, { propagationPolicy: "Background" }));
      const message = `Deleted job ${job.metadata.name}`;
      actions.push(note(cron, "Normal", "SuccessfulDelete", message));
    }
  }
  const object = newJob(cron, dueMs);
  const message = `Created job ${object.metadata?.name}`;
  actions.push({ do: "create", kind: jobKind, object, ignoreExists: true });
  actions.push(note(cron, "Normal", "SuccessfulCreate", message));
  return { actions, lastScheduleTime: timeText(dueMs) };
}

export function plan(state: State, now: number): Plan {
  const { cron, jobs, due } = state;
  if (cron.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const { status, events } = activeOf(state);
  const cleanup = history(state);
  if (due.error !== undefined) {
    const message = `unparseable schedule: ${cron.spec?.schedule} : ${due.error}`;
    const told = note(cron, "Warning", "UnParseableCronJobSchedule", message);
    return { actions: [...events, ...cleanup, told, ...statusAction(cronJobs, cron, status)] };
  }
  const active = jobs.filter((job) => endOf(job) === undefined);
  const suspended = cron.spec?.suspend === true;
  const { actions, lastScheduleTime } = suspended ? { actions: [] } : start(state, active, now);
  if (lastScheduleTime !== undefined) status.lastScheduleTime = lastScheduleTime;
  const wait =
    suspended || due.nextMs === undefined
      ? undefined
      : Math.min(due.nextMs - now + SLACK_MS, LOOK_MS_MAX);
  return {
    // The time of the run is written after its Job: a crash in between finds the Job by its name.
    actions: [...events, ...actions, ...cleanup, ...statusAction(cronJobs, cron, status)],
    ...(wait !== undefined && { againMs: wait }),
  };
}
