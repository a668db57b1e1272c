import { type Controller, trigger } from "#client/controller.ts";
import { byController, controllerKey } from "#controllers/common/owner.ts";
import { timeMs } from "#controllers/common/time.ts";
import { LOOK_MS_MAX, plan, type State } from "#controllers/cronjob/plan.ts";
import { dueOf, MISSED_MAX } from "#controllers/cronjob/schedule.ts";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { jobs } from "#resources/kinds/job.ts";

export const cronJobController: Controller<State> = {
  name: "cronjob",
  kind: cronJobs,
  triggers: [trigger(jobs, (job) => controllerKey(job, cronJobs))],
  read(key, { caches, now }) {
    const cron = caches.of(cronJobs).get(key);
    if (cron === undefined) return undefined;
    const { schedule = "", timeZone, startingDeadlineSeconds } = cron.spec ?? {};
    const last = timeMs(cron.status?.lastScheduleTime) ?? timeMs(cron.metadata.creationTimestamp);
    // A time to come was written by a clock that was wrong: nothing waits for it. A look back as
    // long as looks are apart misses no time; a Job that is there is not made twice.
    const since = last === undefined ? now : last > now ? now - LOOK_MS_MAX : last;
    // What is older than the deadline would not be started: it is not even counted.
    const oldest = startingDeadlineSeconds === undefined ? 0 : now - startingDeadlineSeconds * 1000;
    const due = dueOf({ schedule, timeZone, afterMs: Math.max(since, oldest), now });
    const owned = caches.of(jobs).indexed(byController, cron.metadata.uid);
    return { cron, jobs: owned, due, missedMax: MISSED_MAX };
  },
  plan,
};
