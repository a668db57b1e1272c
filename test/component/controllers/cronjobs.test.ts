/** CronJobs on the real API, with a clock that the test moves on. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { events } from "#resources/kinds/event.ts";
import { jobs } from "#resources/kinds/job.ts";
import type { Stored } from "#resources/meta.ts";
import type { CronJob, CronJobSpec, Job } from "#resources/types.gen.ts";
import { type Plane, startShiftedPlane, until } from "#test/component/controllers/plane.ts";
import type { ShiftClock } from "#test/support/shiftclock.ts";

const namespace = "default";
const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
const SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp";

let plane: Plane;
let clock: ShiftClock;
beforeAll(async () => {
  ({ plane, clock } = await startShiftedPlane(["n1"]));
});
afterAll(() => plane.close());

const make = (name: string, spec: Partial<CronJobSpec> = {}): Promise<Stored<CronJob>> =>
  plane.client.create(cronJobs, {
    metadata: { namespace, name },
    spec: {
      schedule: "0 * * * *",
      jobTemplate: {
        spec: {
          template: { spec: { containers: [{ name: "m", image: "i" }], restartPolicy: "Never" } },
        },
      },
      ...spec,
    },
  });
const cron = (name: string) => plane.client.get(cronJobs, { namespace, name });
const change = (name: string, body: object) =>
  plane.client.patch(cronJobs, { namespace, name }, "merge", body);
const jobsOf = async (name: string): Promise<Array<Stored<Job>>> =>
  (await plane.client.list(jobs, { namespace })).items
    .filter(({ metadata }) => metadata.ownerReferences?.[0]?.name === name)
    .sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
const made = (name: string, count: number) =>
  until(`${count} Jobs of ${name}`, async () => {
    const found = await jobsOf(name);
    return found.length === count && found;
  });
const told = (name: string, reason: string) =>
  until(`the event ${reason} of ${name}`, async () => {
    const { items } = await plane.client.list(events, { namespace });
    return items.some((one) => one.involvedObject.name === name && one.reason === reason);
  });
/** The Job as its controller would leave it. */
async function end(job: Stored<Job> | undefined, type: "Complete" | "Failed"): Promise<void> {
  const at = new Date(clock.now()).toISOString().replace(/\.\d+/, "");
  const interim = type === "Complete" ? "SuccessCriteriaMet" : "FailureTarget";
  const conditions = [interim, type].map((one) => ({
    type: one,
    status: "True",
    lastProbeTime: at,
    lastTransitionTime: at,
  }));
  const status = { conditions, startTime: job?.metadata.creationTimestamp ?? at };
  const ends = type === "Complete" ? { completionTime: at } : {};
  const ref = { namespace, name: job?.metadata.name ?? "" };
  const body = { status: { ...status, ...ends } };
  await plane.client.patch(jobs, ref, "merge", body, { subresource: "status" });
}
/** Jobs of another manager: their ends are the test's to tell. */
const byHand: Partial<CronJobSpec> = {
  jobTemplate: {
    spec: {
      managedBy: "example.com/test",
      template: { spec: { containers: [{ name: "m", image: "i" }], restartPolicy: "Never" } },
    },
  },
};

describe("time zones", () => {
  test("the hour is that of the zone, in the Job's name and time, or that of UTC", async () => {
    const daily = { schedule: "30 8 * * *" };
    await make("kolkata", { ...daily, timeZone: "Asia/Kolkata" });
    await make("chatham", { ...daily, timeZone: "Pacific/Chatham" });
    await make("utc", { ...daily, timeZone: "Etc/UTC" });
    clock.shift(DAY_MS);
    const at = async (name: string): Promise<string> => {
      const [job] = await made(name, 1);
      const text = job?.metadata.annotations?.[SCHEDULED_AT] ?? "";
      expect(job?.metadata.name).toBe(`${name}-${Math.floor(Date.parse(text) / 60_000)}`);
      await until("its time is told", async () => {
        const last = (await cron(name))?.status?.lastScheduleTime ?? "";
        return Date.parse(last) === Date.parse(text);
      });
      return text;
    };
    // Written as of the zone, as upstream does.
    expect(await at("kolkata")).toMatch(/^\d{4}-\d\d-\d\dT08:30:00\+05:30$/);
    expect(await at("chatham")).toMatch(/^\d{4}-\d\d-\d\dT08:30:00\+1[23]:45$/);
    expect(await at("utc")).toMatch(/^\d{4}-\d\d-\d\dT08:30:00Z$/);
  });

  test("a zone that nobody knows is refused, and one within the schedule", async () => {
    const why = (made: Promise<unknown>) => made.catch((error: Error) => error.message);
    expect(await why(make("nowhere", { timeZone: "Mars/Olympus" }))).toContain("spec.timeZone");
    expect(await why(make("within", { schedule: "TZ=Asia/Tokyo 0 8 * * *" }))).toContain(
      "spec.schedule",
    );
  });
});

describe("what still runs at the next time", () => {
  test("Allow: gets another one beside it", async () => {
    await make("allow", { ...byHand, concurrencyPolicy: "Allow" });
    clock.shift(HOUR_MS);
    await made("allow", 1);
    clock.shift(HOUR_MS);
    await made("allow", 2);
    await until("both are active", async () => (await cron("allow"))?.status?.active?.length === 2);
  });

  test("Forbid: is waited for, and the time that was missed comes after it", async () => {
    await make("forbid", { ...byHand, concurrencyPolicy: "Forbid" });
    clock.shift(HOUR_MS);
    const [first] = await made("forbid", 1);
    clock.shift(HOUR_MS);
    await told("forbid", "JobAlreadyActive");
    expect(await jobsOf("forbid")).toHaveLength(1);
    await end(first, "Complete");
    await made("forbid", 2);
    await told("forbid", "SawCompletedJob");
    await until("its end is told", async () => (await cron("forbid"))?.status?.lastSuccessfulTime);
  });

  test("Replace: goes", async () => {
    await make("replace", { ...byHand, concurrencyPolicy: "Replace" });
    clock.shift(HOUR_MS);
    const [first] = await made("replace", 1);
    clock.shift(HOUR_MS);
    await until("another one", async () => {
      const [only, ...more] = await jobsOf("replace");
      return more.length === 0 && only !== undefined && only.metadata.uid !== first?.metadata.uid;
    });
  });
});

test("of many missed times the last is run once; what is past its deadline is not", async () => {
  await make("missed", byHand);
  await make("late", { ...byHand, schedule: "0 0 1 1 *", startingDeadlineSeconds: 60 });
  await make("held", { ...byHand, suspend: true });
  clock.shift(10 * HOUR_MS);
  const [job] = await made("missed", 1);
  const hour = Math.floor(clock.now() / HOUR_MS) * 60;
  expect(job?.metadata.name).toBe(`missed-${hour}`);
  // Long after the first of January.
  clock.shift(400 * DAY_MS);
  await told("missed", "TooManyMissedTimes");
  await made("missed", 2);
  expect([await jobsOf("late"), await jobsOf("held")]).toEqual([[], []]);
  await change("held", { spec: { suspend: false } });
  await made("held", 1);
});

test("as many ended Jobs are kept as it says", async () => {
  await make("short", { ...byHand, successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 1 });
  const names: string[] = [];
  for (const type of ["Complete", "Complete", "Failed", "Failed"] as const) {
    clock.shift(HOUR_MS);
    const job = await until("the next one", async () =>
      (await jobsOf("short")).find(({ metadata }) => !names.includes(metadata.name)),
    );
    names.push(job.metadata.name);
    await end(job, type);
  }
  await until("one of each is left", async () => {
    const left = (await jobsOf("short")).map(({ metadata }) => metadata.name);
    return left.join() === [names[1], names[3]].join();
  });
});

test("nothing was logged as going wrong", () => {
  expect(plane.lines).toEqual([]);
});
