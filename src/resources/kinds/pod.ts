import { podColumns, podIp } from "#resources/columns/pod.ts";
import { defaultPod } from "#resources/defaults/podspec.ts";
import { defineKind } from "#resources/kind.ts";
import { mergeLabelKeys } from "#resources/matchlabelkeys.ts";
import { dropUnservedPodFields } from "#resources/podfields.ts";
import { qosClass } from "#resources/qos.ts";
import { sameSpec } from "#resources/samespec.ts";
import type { Pod, PodStatus } from "#resources/types.gen.ts";
import { validatePod } from "#resources/validate/pod.ts";
import { podWarnings } from "#resources/warnings/pod.ts";

function newStatus(pod: Pod): PodStatus {
  const status: PodStatus = {
    phase: "Pending",
    qosClass: qosClass(pod.spec ?? { containers: [] }),
  };
  if ((pod.spec?.schedulingGates ?? []).length > 0) {
    status.conditions = [
      {
        type: "PodScheduled",
        status: "False",
        ...(pod.metadata?.creationTimestamp && {
          lastTransitionTime: pod.metadata.creationTimestamp,
        }),
        reason: "SchedulingGated",
        message: "Scheduling is blocked due to non-empty scheduling gates",
      },
    ];
  }
  return status;
}

/**
 * Nothing is left to wait for on a node where the pod never ran or has ended (API, pod deletion).
 */
function gracePeriodSeconds(pod: Pod): number | undefined {
  const phase = pod.status?.phase;
  if (!pod.spec?.nodeName || phase === "Succeeded" || phase === "Failed") return undefined;
  return pod.spec.terminationGracePeriodSeconds;
}

export const pods = defineKind<Pod>({
  group: "",
  version: "v1",
  kind: "Pod",
  plural: "pods",
  namespaced: true,
  schema: "io.k8s.api.core.v1.Pod",
  shortNames: ["po"],
  categories: ["all"],
  subresources: { status: true },
  generation: true,
  columns: podColumns,
  defaults: (pod) => {
    pod.spec ??= { containers: [] };
    defaultPod(pod.spec);
  },
  prepare: (pod, old) => {
    dropUnservedPodFields(pod.spec, old?.spec);
    if (old) return;
    pod.status = newStatus(pod);
    mergeLabelKeys(pod);
    if (pod.spec !== undefined) pod.spec = sameSpec(pod.spec);
  },
  fields: (pod) => ({
    "spec.nodeName": pod.spec?.nodeName ?? "",
    "spec.restartPolicy": pod.spec?.restartPolicy ?? "",
    "spec.schedulerName": pod.spec?.schedulerName ?? "",
    "spec.serviceAccountName": pod.spec?.serviceAccountName ?? "",
    "spec.hostNetwork": String(pod.spec?.hostNetwork ?? false),
    "status.phase": pod.status?.phase ?? "",
    "status.podIP": podIp(pod),
    "status.nominatedNodeName": pod.status?.nominatedNodeName ?? "",
  }),
  validate: validatePod,
  warnings: podWarnings,
  gracePeriodSeconds,
});
