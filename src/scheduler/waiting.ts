/** Which pods wait for this scheduler, and which changes of theirs and of nodes count. */
import type { Stored } from "#resources/meta.ts";
import { controllerOf } from "#resources/meta.ts";
import type { Node, Pod } from "#resources/types.gen.ts";
import { isOver, type PodFacts } from "#scheduler/facts.ts";
import type { Filter, Wake } from "#scheduler/filters.ts";
import { DEFAULT_SCHEDULER } from "#scheduler/profiles.ts";
import type { Hope } from "#scheduler/queue.ts";

export const schedulerOf = (pod: Pod): string => pod.spec?.schedulerName || DEFAULT_SCHEDULER;

/** A pod that one of these schedulers has to place. Gates keep it away (KEP-3521). */
export function waits(pod: Stored<Pod>, schedulers: ReadonlyMap<string, unknown>): boolean {
  return (
    !pod.spec?.nodeName &&
    pod.metadata.deletionTimestamp === undefined &&
    schedulers.has(schedulerOf(pod)) &&
    (pod.spec?.schedulingGates ?? []).length === 0 &&
    !isOver(pod)
  );
}

/** A status written by ourselves is no reason to try again. */
export function sameToScheduler(before: Stored<Pod>, after: Stored<Pod>): boolean {
  return (
    JSON.stringify([before.spec, before.metadata.labels]) ===
    JSON.stringify([after.spec, after.metadata.labels])
  );
}

/** Heartbeats change a node too; only these parts can let a pod fit. */
export function nodeMatters(
  before: Stored<Node> | undefined,
  after: Stored<Node> | undefined,
): boolean {
  const parts = (node: Stored<Node> | undefined) =>
    JSON.stringify([
      node?.spec?.taints,
      node?.spec?.unschedulable,
      node?.metadata.labels,
      node?.status?.allocatable,
    ]);
  return parts(before) !== parts(after);
}

/** Equal for pods that fit exactly where the other fits, as the pods of one set do. */
export function signatureOf({ pod, kin, priority, requests, ports, claims }: PodFacts): string {
  const { spec } = pod;
  return JSON.stringify([
    kin,
    priority,
    requests,
    ports,
    claims,
    spec?.nodeSelector,
    spec?.affinity?.nodeAffinity,
    spec?.tolerations,
    spec?.topologySpreadConstraints,
    spec?.preemptionPolicy,
    schedulerOf(pod),
    controllerOf(pod)?.uid,
  ]);
}

/** What can help a pod that these filters refused. */
export function hopeOf(filters: ReadonlySet<Filter>): Hope {
  const wokenBy = new Set<Wake>();
  let local = true;
  for (const filter of filters) {
    for (const wake of filter.wokenBy) wokenBy.add(wake);
    local &&= filter.global !== true;
  }
  // A cluster without nodes refuses by no filter.
  if (filters.size === 0) wokenBy.add("node");
  return { wokenBy, local };
}
