/** Warnings of jobs, and of what makes them. */
import type { CronJob, Job, JobSpec } from "#resources/types.gen.ts";
import { isChanged, newName } from "#resources/warnings/changed.ts";
import { templateWarnings } from "#resources/warnings/pod.ts";

const COMPLETIONS_MANY = 100_000;
const PARALLELISM_MANY = 10_000;

function jobSpecWarnings(spec: JobSpec | undefined, path: string): string[] {
  const { completionMode, completions = 0, parallelism = 0, template } = spec ?? {};
  const isMany = completions > COMPLETIONS_MANY && parallelism > PARALLELISM_MANY;
  const many =
    `${path}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism ` +
    "higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number " +
    "of indexes fail";
  return [
    ...(completionMode === "Indexed" && isMany ? [many] : []),
    ...templateWarnings(template, `${path}.template`),
  ];
}

export const jobWarnings = (object: Job, old: Job | undefined): string[] => [
  ...newName(object, old),
  ...(isChanged(object, old) ? jobSpecWarnings(object.spec, "spec") : []),
];

export function cronJobWarnings(object: CronJob, old: CronJob | undefined): string[] {
  const { jobTemplate, schedule = "" } = object.spec ?? {};
  const zone =
    "cannot use TZ or CRON_TZ in spec.schedule, use timeZone instead, see " +
    "https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details";
  return [
    ...newName(object, old),
    ...(isChanged(object, old) ? jobSpecWarnings(jobTemplate?.spec, "spec.jobTemplate.spec") : []),
    ...(old !== undefined && schedule.includes("TZ") ? [zone] : []),
  ];
}
