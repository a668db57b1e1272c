import {
  age,
  ageColumn,
  containerColumns,
  nameColumn,
  selectorOrNone,
} from "#resources/columns/text.ts";
import { defaultTemplate } from "#resources/defaults/podspec.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedTemplateFields } from "#resources/podfields.ts";
import type { CronJob } from "#resources/types.gen.ts";
import { validateCronJob } from "#resources/validate/cronjob.ts";
import { cronJobWarnings } from "#resources/warnings/jobs.ts";

export const cronJobs = defineKind<CronJob>({
  group: "batch",
  version: "v1",
  kind: "CronJob",
  plural: "cronjobs",
  namespaced: true,
  schema: "io.k8s.api.batch.v1.CronJob",
  shortNames: ["cj"],
  categories: ["all"],
  subresources: { status: true },
  generation: true,
  columns: [
    nameColumn,
    { name: "Schedule", cell: ({ spec }) => spec?.schedule ?? "" },
    { name: "Timezone", cell: ({ spec }) => spec?.timeZone ?? "<none>" },
    {
      name: "Suspend",
      type: "boolean",
      cell: ({ spec }) =>
        spec?.suspend === undefined ? "<unset>" : spec.suspend ? "True" : "False",
    },
    { name: "Active", type: "integer", cell: ({ status }) => (status?.active ?? []).length },
    {
      name: "Last Schedule",
      cell: ({ status }, now) =>
        status?.lastScheduleTime ? age(status.lastScheduleTime, now) : "<none>",
    },
    ageColumn,
    ...containerColumns<CronJob>(({ spec }) => spec?.jobTemplate?.spec?.template),
    {
      name: "Selector",
      priority: 1,
      cell: ({ spec }) => selectorOrNone(spec?.jobTemplate?.spec?.selector),
    },
  ],
  defaults: (cronJob) => {
    cronJob.spec ??= { jobTemplate: {}, schedule: "" };
    const { spec } = cronJob;
    spec.concurrencyPolicy ||= "Allow";
    spec.suspend ??= false;
    spec.successfulJobsHistoryLimit ??= 3;
    spec.failedJobsHistoryLimit ??= 1;
    spec.jobTemplate ??= {};
    spec.jobTemplate.spec ??= { template: {} };
    // The job's own defaults are set when a job is made of it.
    defaultTemplate(spec.jobTemplate.spec);
  },
  prepare: (cronJob, old) => {
    dropUnservedTemplateFields(cronJob.spec?.jobTemplate ?? {}, old?.spec?.jobTemplate);
    if (!old) cronJob.status = {};
  },
  validate: validateCronJob,
  warnings: cronJobWarnings,
});
