import type { Index } from "#client/cache.types.ts";
import { type Controller, trigger } from "#client/controller.ts";
import { byController, controllerKey, orphans } from "#controllers/common/owner.ts";
import { suitors } from "#controllers/common/suitors.ts";
import { isTracked } from "#controllers/job/facts.ts";
import { failed, plan, type State } from "#controllers/job/plan.ts";
import { jobs } from "#resources/kinds/job.ts";
import { pods } from "#resources/kinds/pod.ts";
import { controllerOf, type Stored } from "#resources/meta.ts";
import { matchLabelSelector } from "#resources/selector.ts";
import type { Job, Pod } from "#resources/types.gen.ts";

const JOB_NAME = "batch.kubernetes.io/job-name";

/** The Job of a tracked pod; of one that was orphaned only a label tells its name. */
function jobKey(pod: Stored<Pod>): readonly string[] {
  if (!isTracked(pod)) return [];
  if (controllerOf(pod) !== undefined) return controllerKey(pod, jobs);
  const name = pod.metadata.labels?.[JOB_NAME];
  return name === undefined ? [] : [`${pod.metadata.namespace}/${name}`];
}

/** Tracked pods by the key of their Job: they must be let go even when it is gone. */
const trackedBy: Index<Pod> = { name: "job", values: jobKey };

function isStray(pod: Stored<Pod>, job: Stored<Job> | undefined): boolean {
  const owner = controllerOf(pod);
  if (owner !== undefined) return owner.uid !== job?.metadata.uid;
  // The Job may want it.
  return job === undefined || !matchLabelSelector(job.spec?.selector)(pod.metadata.labels ?? {});
}

export const jobController: Controller<State> = {
  name: "job",
  kind: jobs,
  triggers: [
    trigger(pods, (pod, caches) => {
      if (controllerOf(pod) !== undefined) return controllerKey(pod, jobs);
      return [...suitors(pod, caches.of(jobs)), ...jobKey(pod)];
    }),
  ],
  read(key, { caches, random }) {
    const job = caches.of(jobs).get(key);
    const cache = caches.of(pods);
    const uid = job?.metadata.uid;
    const stray = cache.indexed(trackedBy, key).filter((pod) => isStray(pod, job));
    if (job === undefined && stray.length === 0) return undefined;
    return {
      job,
      owned: uid === undefined ? [] : cache.indexed(byController, uid),
      free: job === undefined ? [] : cache.indexed(orphans, job.metadata.namespace ?? ""),
      stray,
      seed: random(),
    };
  },
  plan,
  failed,
};
