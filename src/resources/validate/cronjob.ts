/** CronJobs (batch validation; "CronJob"). */
import { type Cause, invalid, notSupported, required } from "#resources/field.ts";
import type { CronJob, CronJobSpec } from "#resources/types.gen.ts";
import { requiredWord } from "#resources/validate/basic.ts";
import { scheduleError } from "#resources/validate/cron.ts";
import { checkJobSpec } from "#resources/validate/job.ts";
import { shownSelector } from "#resources/validate/selector.ts";
import { counts } from "#resources/validate/workload.ts";

/** Jobs are named after the CronJob with eleven characters more. */
const NAME_MAX = 52;
const ZONE_PART = /^[A-Za-z.\-_0-9+]{1,14}$/;

function scheduleCauses(spec: CronJobSpec, old: CronJobSpec | undefined): Cause[] {
  const at = "spec.schedule";
  const { schedule } = spec;
  if (!schedule) return [required(at)];
  const error = scheduleError(schedule);
  const causes = error === undefined ? [] : [invalid(at, schedule, error)];
  if (!schedule.includes("TZ")) return causes;
  if (!old?.schedule.includes("TZ")) {
    const detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
    causes.push(invalid(at, schedule, detail));
  } else if (spec.timeZone !== undefined) {
    const detail = "cannot use both timeZone field and TZ or CRON_TZ in schedule";
    causes.push(invalid(at, schedule, detail));
  }
  return causes;
}

function isKnownZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).format(0) !== "";
  } catch {
    return false;
  }
}

function zoneCauses(zone: string | undefined): Cause[] {
  const at = "spec.timeZone";
  if (zone === undefined) return [];
  if (zone === "") return [invalid(at, zone, "timeZone must be nil or non-empty string")];
  const bad = (part: string) =>
    part === "." || part === ".." || part.startsWith("-") || !ZONE_PART.test(part);
  if (zone.toLowerCase() === "local") {
    const detail =
      "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
    return [invalid(at, zone, detail)];
  }
  if (!zone.split("/").some(bad) && isKnownZone(zone)) return [];
  return [invalid(at, zone, `unknown time zone ${zone}`)];
}

function templateCauses(spec: CronJobSpec): Cause[] {
  const job = spec.jobTemplate?.spec;
  const at = "spec.jobTemplate.spec";
  if (!job) return [required(`${at}.template`)];
  const causes = checkJobSpec(job, at);
  if (job.selector) {
    const shown = shownSelector(job.selector);
    causes.push(invalid(`${at}.selector`, shown, "`selector` will be auto-generated"));
  }
  if (job.manualSelector === true) {
    causes.push(notSupported(`${at}.manualSelector`, true, ["nil", "false"]));
  }
  return causes;
}

export function validateCronJob(
  cronJob: CronJob,
  old: CronJob | undefined,
  subresource?: string,
): Cause[] {
  if (subresource === "status") return [];
  const { spec, metadata } = cronJob;
  if (!spec) return [required("spec.schedule")];
  const name = metadata?.name ?? "";
  const long = !old && name.length > NAME_MAX;
  const limits = [
    "startingDeadlineSeconds",
    "successfulJobsHistoryLimit",
    "failedJobsHistoryLimit",
  ] as const;
  const policies = ["Allow", "Forbid", "Replace"];
  return [
    ...scheduleCauses(spec, old?.spec),
    ...(old?.spec?.timeZone === spec.timeZone ? [] : zoneCauses(spec.timeZone)),
    ...requiredWord(spec.concurrencyPolicy, policies, "spec.concurrencyPolicy"),
    ...templateCauses(spec),
    ...counts(spec, limits, "spec"),
    ...(long ? [invalid("metadata.name", name, "must be no more than 52 characters")] : []),
  ];
}
