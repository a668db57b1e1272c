import { jobColumns } from "#resources/columns/job.ts";
import { defaultJobSpec } from "#resources/defaults/job.ts";
import { defineKind } from "#resources/kind.ts";
import { dropUnservedTemplateFields } from "#resources/podfields.ts";
import type { Job } from "#resources/types.gen.ts";
import { validateJob } from "#resources/validate/job.ts";
import { jobWarnings } from "#resources/warnings/jobs.ts";

/** Selects the job's own pods by its UID, unless the client made its own selector. */
function generateSelector(job: Job): void {
  const { spec, metadata } = job;
  if (!spec || !metadata) return;
  const name = metadata.name ?? "";
  const uid = metadata.uid ?? "";
  spec.template.metadata ??= {};
  spec.template.metadata.labels = {
    "job-name": name,
    "batch.kubernetes.io/job-name": name,
    "controller-uid": uid,
    "batch.kubernetes.io/controller-uid": uid,
    ...spec.template.metadata.labels,
  };
  spec.selector ??= {};
  spec.selector.matchLabels = {
    "batch.kubernetes.io/controller-uid": uid,
    ...spec.selector.matchLabels,
  };
}

/** A job without labels has those of its pods, also the generated ones. */
function defaultLabels(job: Job): void {
  const labels = job.spec?.template.metadata?.labels;
  job.metadata ??= {};
  if (labels && Object.keys(job.metadata.labels ?? {}).length === 0) {
    job.metadata.labels = { ...labels };
  }
}

export const jobs = defineKind<Job>({
  group: "batch",
  version: "v1",
  kind: "Job",
  plural: "jobs",
  namespaced: true,
  schema: "io.k8s.api.batch.v1.Job",
  categories: ["all"],
  subresources: { status: true },
  generation: true,
  columns: jobColumns,
  defaults: (job) => {
    job.spec ??= { template: {} };
    defaultJobSpec(job.spec);
  },
  prepare: (job, old) => {
    dropUnservedTemplateFields(job, old);
    if (!old) {
      if (job.spec?.manualSelector !== true) generateSelector(job);
      job.status = {};
    }
    defaultLabels(job);
  },
  fields: ({ status }) => ({ "status.successful": String(status?.succeeded ?? 0) }),
  validate: validateJob,
  warnings: jobWarnings,
});
