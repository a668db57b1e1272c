import {
  ageColumn,
  containerColumns,
  humanDuration,
  nameColumn,
  selectorOrNone,
} from "#resources/columns/text.ts";
import type { Column } from "#resources/kind.ts";
import type { Job } from "#resources/types.gen.ts";

const holds = (job: Job, type: string): boolean =>
  job.status?.conditions?.find((condition) => condition.type === type)?.status === "True";

function status(job: Job): string {
  if (holds(job, "Complete")) return "Complete";
  if (holds(job, "Failed")) return "Failed";
  if (job.metadata?.deletionTimestamp) return "Terminating";
  const early = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];
  return early.find((type) => holds(job, type)) ?? "Running";
}

function completions({ spec, status }: Job): string {
  const succeeded = status?.succeeded ?? 0;
  if (spec?.completions !== undefined) return `${succeeded}/${spec.completions}`;
  const parallelism = spec?.parallelism ?? 0;
  return parallelism > 1 ? `${succeeded}/1 of ${parallelism}` : `${succeeded}/1`;
}

function duration({ status }: Job, now: number): string {
  if (!status?.startTime) return "";
  const end = status.completionTime ? Date.parse(status.completionTime) : now;
  return humanDuration(end - Date.parse(status.startTime));
}

export const jobColumns: Column<Job>[] = [
  nameColumn,
  { name: "Status", cell: status },
  { name: "Completions", cell: completions },
  { name: "Duration", cell: duration },
  ageColumn,
  ...containerColumns<Job>(({ spec }) => spec?.template),
  { name: "Selector", priority: 1, cell: ({ spec }) => selectorOrNone(spec?.selector) },
];
