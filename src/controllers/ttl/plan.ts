/**
 * Removes Jobs some time after they ended
 * (kubernetes.io/docs/concepts/workloads/controllers/ttlafterfinished).
 */
import type { Plan } from "#client/controller.ts";
import { deleteAction } from "#controllers/common/patch.ts";
import { timeMs } from "#controllers/common/time.ts";
import { jobs } from "#resources/kinds/job.ts";
import type { Stored } from "#resources/meta.ts";
import type { Job } from "#resources/types.gen.ts";

export function plan(job: Stored<Job>, now: number): Plan {
  const seconds = job.spec?.ttlSecondsAfterFinished;
  const end = job.status?.conditions?.find(
    ({ type, status }) => (type === "Complete" || type === "Failed") && status === "True",
  );
  const ended = timeMs(end?.lastTransitionTime);
  if (seconds === undefined || ended === undefined) return { actions: [] };
  if (job.metadata.deletionTimestamp !== undefined) return { actions: [] };
  const leftMs = ended + seconds * 1000 - now;
  if (leftMs > 0) return { actions: [], againMs: leftMs };
  const { uid, resourceVersion } = job.metadata;
  const gone = deleteAction(jobs, job, { propagationPolicy: "Foreground" });
  // A time to live that was just made longer is not passed over: the object must be as it was read.
  if (gone.do === "delete") gone.options = { ...gone.options, uid, resourceVersion };
  return { actions: [gone] };
}
