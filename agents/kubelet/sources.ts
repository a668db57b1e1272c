/** What a pod tells of itself: to its environment, and to the volumes that show its fields. */
import type { PodWork } from "#agents/kubelet/context.ts";
import { type DownwardSource, fieldText, resourceText } from "#agents/kubelet/downward.ts";
import type { VolumeRequest } from "#agents/volumes/volumes.ts";

/** What the pod's own fields are told from. */
export function downwardSource(worker: PodWork): DownwardSource {
  const { options } = worker.context;
  return {
    pod: worker.pod,
    podIps: worker.record.sandbox?.ips ?? [],
    hostIps: options.nodeIps(),
    nodeName: options.nodeName,
    allocatable: worker.context.allocatable(),
  };
}

export function volumeRequest(worker: PodWork): VolumeRequest {
  return {
    pod: worker.pod,
    directory: worker.context.records.directory(worker.uid),
    fields: {
      field: (path) => fieldText(downwardSource(worker), path),
      resource: (selector) =>
        resourceText(downwardSource(worker), selector, selector.containerName ?? ""),
    },
  };
}
