import { beforeEach, describe, expect, test } from "bun:test";
import fc from "fast-check";
import { zonedText } from "#controllers/common/time.ts";
import { cronJobController as controller } from "#controllers/cronjob/controller.ts";
import { dueOf } from "#controllers/cronjob/schedule.ts";
import { cronJobs } from "#resources/kinds/cronjob.ts";
import { jobs } from "#resources/kinds/job.ts";
import { keyOf, type Stored } from "#resources/meta.ts";
import type { CronJobSpec, Job } from "#resources/types.gen.ts";
import { tries } from "#test/support/property.ts";
import { World } from "#test/support/world.ts";

const KEY = "x/c";
const MINUTE = 60_000;
let world: World;
beforeEach(() => {
  world = new World();
});

function create(spec: Partial<CronJobSpec> = {}): void {
  world.put(cronJobs, {
    metadata: { namespace: "x", name: "c" },
    spec: {
      schedule: "*/5 * * * *",
      concurrencyPolicy: "Allow",
      timeZone: "UTC",
      jobTemplate: { metadata: { labels: { a: "b" } }, spec: { template: {} } },
      ...spec,
    },
  });
}

const settle = () => world.settle([controller]);
const status = () => world.get(cronJobs, KEY)?.status;
const running = () => world.list(jobs).filter((job) => job.status?.conditions === undefined);
const again = () => {
  const state = controller.read(KEY, { caches: world.caches, now: world.now, random: () => 0 });
  return state && controller.plan(state, world.now).againMs;
};

function end(job: Stored<Job>, type = "Complete"): void {
  const time = world.time();
  const conditions = [{ type, status: "True", lastTransitionTime: time }];
  const completionTime = type === "Complete" ? { completionTime: time } : {};
  const body = { status: { conditions, startTime: time, ...completionTime } };
  world.change(jobs, keyOf(job), body);
}

describe("a CronJob", () => {
  test("makes a Job at each time, named by the minute, and waits for the next", () => {
    create();
    settle();
    expect(world.list(jobs)).toHaveLength(0);
    // A jump of the clock wakes nobody, so it is looked at every minute.
    expect(again()).toBe(MINUTE);
    world.now += 4 * MINUTE + 30_000;
    expect(again()).toBe(30_100);
    world.now += 30_000;
    settle();
    const [job] = world.list(jobs);
    expect(job?.metadata).toMatchObject({
      name: `c-${world.now / MINUTE}`,
      labels: { a: "b" },
      annotations: { "batch.kubernetes.io/cronjob-scheduled-timestamp": world.time() },
      ownerReferences: [{ kind: "CronJob", controller: true }],
    });
    expect(status()).toMatchObject({ lastScheduleTime: world.time(), active: [{ kind: "Job" }] });
    world.now += 1000;
    settle();
    expect(world.list(jobs)).toHaveLength(1);
  });

  test("a clock that was set forward by years makes one Job, set back it goes on at once", () => {
    create();
    const right = world.now;
    world.now += 3 * 365 * 24 * 60 * MINUTE;
    settle();
    expect(world.list(jobs)).toHaveLength(1);
    for (const job of running()) end(job);
    world.now = right + 7 * MINUTE;
    settle();
    expect(running()).toHaveLength(0);
    world.now = right + 10 * MINUTE;
    settle();
    expect(running().map(({ metadata }) => metadata.name)).toEqual([`c-${world.now / MINUTE}`]);
  });

  test("sees the end of its Job", () => {
    create();
    world.now += 5 * MINUTE;
    settle();
    for (const job of running()) end(job);
    settle();
    expect(status()?.active).toBeUndefined();
    expect(status()?.lastSuccessfulTime).toBe(world.time());
    expect(world.events.at(-1)).toContain("SawCompletedJob");
  });

  test("runs the last of several missed times once", () => {
    create();
    world.now += 23 * MINUTE;
    settle();
    expect(world.list(jobs)).toHaveLength(1);
    expect(status()?.lastScheduleTime).toBe("2026-01-01T00:20:00Z");
  });

  test("warns of many missed times, and still runs the last", () => {
    create({ schedule: "* * * * *" });
    world.now += 300 * MINUTE;
    settle();
    expect(world.list(jobs)).toHaveLength(1);
    expect(world.events.some((text) => text.includes("TooManyMissedTimes"))).toBe(true);
  });

  test("does not start what is past its deadline", () => {
    create({ startingDeadlineSeconds: 30 });
    world.now += 5 * MINUTE + 31_000;
    settle();
    expect(world.list(jobs)).toHaveLength(0);
    world.now += 5 * MINUTE - 11_000;
    settle();
    expect(world.list(jobs)).toHaveLength(1);
  });

  test("suspended starts nothing", () => {
    create({ suspend: true });
    world.now += 20 * MINUTE;
    settle();
    expect(world.list(jobs)).toHaveLength(0);
    expect(again()).toBeUndefined();
  });

  test("keeps as many ended Jobs as its limits say", () => {
    create({ successfulJobsHistoryLimit: 2, failedJobsHistoryLimit: 1 });
    for (let i = 0; i < 8; i++) {
      world.now += 5 * MINUTE;
      settle();
      for (const job of running()) end(job, i % 2 === 0 ? "Complete" : "Failed");
    }
    settle();
    const ends = world.list(jobs).map((job) => job.status?.conditions?.[0]?.type);
    expect(ends.sort()).toEqual(["Complete", "Complete", "Failed"]);
  });

  test("tells of a schedule that it cannot read", () => {
    create({ schedule: "nonsense" });
    settle();
    expect(world.events[0]).toContain("Warning UnParseableCronJobSchedule");
  });
});

describe("concurrency", () => {
  const twice = (concurrencyPolicy: string) => {
    create({ concurrencyPolicy });
    world.now += 5 * MINUTE;
    settle();
    world.now += 5 * MINUTE;
    world.run(controller, KEY);
  };

  test("Allow: the next one starts beside", () => {
    twice("Allow");
    expect(running()).toHaveLength(2);
  });

  test("Forbid: the next one waits for the end, then starts", () => {
    twice("Forbid");
    expect(running()).toHaveLength(1);
    expect(world.events.at(-1)).toContain("JobAlreadyActive");
    for (const job of running()) end(job);
    settle();
    expect(running()).toHaveLength(1);
    expect(world.list(jobs)).toHaveLength(2);
  });

  test("Replace: the running one goes", () => {
    twice("Replace");
    expect(world.list(jobs)).toHaveLength(1);
    expect(world.list(jobs)[0]?.metadata.name).toBe(`c-${world.now / MINUTE}`);
  });
});

describe("time zones", () => {
  const at = (text: string) => Date.parse(text);
  const due = (schedule: string, timeZone: string, after: string, now: string) =>
    dueOf({ schedule, timeZone, afterMs: at(after), now: at(now) });

  test("a time of day is that of the zone", () => {
    const { dueMs } = due(
      "30 8 * * *",
      "Asia/Tokyo",
      "2026-01-01T00:00:00Z",
      "2026-01-02T00:00:00Z",
    );
    expect(dueMs).toBe(at("2026-01-01T23:30:00Z"));
  });

  test("every hour goes on through the change to summer time", () => {
    const { missed } = due(
      "0 * * * *",
      "Europe/Berlin",
      "2026-03-28T23:00:00Z",
      "2026-03-29T05:00:00Z",
    );
    expect(missed).toBe(6);
  });

  test.each([
    ["UTC", "2026-03-29T00:30:00Z"],
    ["Europe/London", "2026-03-29T00:30:00Z"],
    ["Europe/Berlin", "2026-03-29T01:30:00+01:00"],
    ["America/St_Johns", "2026-03-28T22:00:00-02:30"],
    ["Asia/Kolkata", "2026-03-29T06:00:00+05:30"],
  ])("a time is written as the clocks of %s show it", (zone, text) => {
    expect(zonedText(at("2026-03-29T00:30:00Z"), zone)).toBe(text);
    expect(at(text)).toBe(at("2026-03-29T00:30:00Z"));
  });

  // There 02:00 is 01:30 once more, at 15:00Z.
  test.each([
    ["0 5 * * *", "2026-04-04T13:30:00Z", "2026-04-03T18:00:00Z", "2026-04-04T18:30:00Z"],
    ["0 4,5 * * *", "2026-04-04T13:30:00Z", "2026-04-03T18:00:00Z", "2026-04-04T17:30:00Z"],
    ["0 5 * * *", "2026-04-04T19:00:00Z", "2026-04-04T18:30:00Z", "2026-04-05T18:30:00Z"],
    ["0 3 * * 0", "2026-04-04T13:30:00Z", "2026-03-28T16:00:00Z", "2026-04-04T16:30:00Z"],
  ])("clocks set back by half an hour: %s at %s", (schedule, now, dueAt, nextAt) => {
    const zone = "Australia/Lord_Howe";
    const { dueMs, nextMs, error } = due(schedule, zone, "2026-03-28T00:00:00Z", now);
    expect(error).toBeUndefined();
    expect([dueMs, nextMs]).toEqual([at(dueAt), at(nextAt)]);
  });

  test("a schedule that cannot be read is said to, in every zone", () => {
    for (const zone of ["UTC", "Australia/Lord_Howe"]) {
      const time = "2026-04-04T00:00:00Z";
      expect(due("0 0 31 2 *", zone, time, time).error).toContain("Invalid explicit day of month");
    }
  });

  test("an interval counts from the last run", () => {
    const one = due("@every 1h30m", "UTC", "2026-01-01T00:10:00Z", "2026-01-01T03:30:00Z");
    expect(one).toEqual({
      dueMs: at("2026-01-01T03:10:00Z"),
      missed: 2,
      nextMs: at("2026-01-01T04:40:00Z"),
    });
  });
});

test("property: however late it looks, each time runs once at most, the last always", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 20 }), (steps) => {
      world = new World();
      create();
      for (const minutes of steps) {
        world.now += minutes * MINUTE;
        settle();
        const last = Math.floor(world.now / (5 * MINUTE)) * 5;
        const names = world.list(jobs).map((job) => job.metadata.name);
        if (last > Date.UTC(2026, 0, 1) / MINUTE) expect(names).toContain(`c-${last}`);
        expect(new Set(names).size).toBe(names.length);
      }
    }),
    tries(50),
  );
});

test("property: a time of day comes once a day in every zone, whatever its clocks do", () => {
  const zones = [
    ...["UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kolkata"],
    // Its clocks are set by half an hour.
    "Australia/Lord_Howe",
  ];
  const scenario = fc.record({
    zone: fc.constantFrom(...zones),
    // Hours that no clock of these zones leaves out or shows twice.
    hour: fc.integer({ min: 4, max: 23 }),
    minute: fc.integer({ min: 0, max: 59 }),
    days: fc.integer({ min: 1, max: 12 }),
    from: fc.integer({ min: 0, max: 500 }),
  });
  fc.assert(
    fc.property(scenario, ({ zone, hour, minute, days, from }) => {
      const afterMs = Date.UTC(2026, 0, 1 + from);
      const now = afterMs + days * 24 * 60 * MINUTE;
      const schedule = `${minute} ${hour} * * *`;
      const { dueMs = 0, missed, nextMs = 0 } = dueOf({ schedule, timeZone: zone, afterMs, now });
      // A day with a change of the clocks is an hour shorter or longer at most.
      expect(Math.abs(missed - days)).toBeLessThanOrEqual(1);
      const clock = `T${String(hour).padStart(2, "0")}:${String(minute).padStart(2, "0")}:00`;
      for (const ms of [dueMs, nextMs]) expect(zonedText(ms, zone)).toContain(clock);
      const hours = (nextMs - dueMs) / (60 * MINUTE);
      expect(hours).toBeGreaterThanOrEqual(23);
      expect(hours).toBeLessThanOrEqual(25);
      expect(dueMs <= now && now < nextMs).toBe(true);
    }),
    tries(150),
  );
});
